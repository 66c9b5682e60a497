package backlog

import (
	"context"
	"fmt"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

func use(pool, id string, n int64) poolkeeper.Op {
	return poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey(pool), ID: id, N: n, At: 1000 + n}
}

func failed(pool, id string) poolkeeper.Op {
	return poolkeeper.Op{Kind: poolkeeper.OpError, Key: poolkeeper.PoolKey(pool), ID: id, At: 2000}
}

func document(name, data string) poolkeeper.Op {
	return poolkeeper.Op{Kind: poolkeeper.OpPut, Key: poolkeeper.DocumentKey(name), Data: []byte(data)}
}

func opened(t *testing.T, dir string, opts *Options) *Backlog {
	t.Helper()
	b, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func (b *Backlog) must(t *testing.T, op poolkeeper.Op) uint64 {
	t.Helper()
	n, err := b.Append(context.Background(), op)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// text is all that a backlog has, as text.
func (b *Backlog) text() (s string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range sortedKeys(b.entries) {
		e := b.entries[n]
		op, _ := poolkeeper.EncodeOp(&e.Op)
		s += fmt.Sprintf("%d %s in %d\n", n, op, e.frozen)
	}
	for _, n := range sortedKeys(b.frozen) {
		f := b.frozen[n]
		s += fmt.Sprintf("request %d %d %s %q %s:", n, f.At, f.Key, f.Request, b.programs[f.ProgramName].source)
		for _, op := range f.Ops {
			s += fmt.Sprintf(" %d", op.Entry)
		}
		s += "\n"
	}
	for _, n := range sortedKeys(b.aside) {
		a := b.aside[n]
		op, _ := poolkeeper.EncodeOp(&a.Op)
		s += fmt.Sprintf("aside %d %s %s %d\n", n, op, a.Reason, a.At)
	}
	for _, d := range b.droppedLocked() {
		s += fmt.Sprintf("dropped %+v\n", d)
	}
	if len(b.entries)+len(b.aside) > 0 { // else it has no name when it is opened again
		s += string(b.claim.record())
	}
	return s + b.epoch
}
