package redisstore_test

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

// A fileSpool is the least that a Spool can be: a file of lines, each synced. It
// calls at for every named step, where a test may end the process.
type fileSpool struct {
	at  func(step string)
	err func(step string) error // makes a step fail

	mu      sync.Mutex
	file    *os.File
	last    uint64
	queued  []poolkeeper.QueuedOp // in their order, those of frozen requests too
	frozen  map[uint64]*poolkeeper.Frozen
	settled map[uint64]poolkeeper.Result // of each op that came to its end
	freezes int
}

// A spoolLine is one line of the file.
type spoolLine struct {
	Frozen  *poolkeeper.Frozen
	Settled uint64
	Entries []uint64
	Results []poolkeeper.Result
}

func openSpool(path string) (*fileSpool, error) {
	s := &fileSpool{at: func(string) {}, err: func(string) error { return nil }, frozen: map[uint64]*poolkeeper.Frozen{}, settled: map[uint64]poolkeeper.Result{}}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	whole := 0
	for line := range bytes.Lines(data) {
		var l spoolLine
		if line[len(line)-1] != '\n' {
			break // torn
		}
		if err := json.Unmarshal(line, &l); err != nil {
			return nil, err
		}
		whole += len(line)
		s.take(&l)
	}
	if s.file, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
		return nil, err
	}
	if err := s.file.Truncate(int64(whole)); err != nil {
		return nil, err
	}
	_, err = s.file.Seek(0, 2)
	return s, err
}

func newSpool(t *testing.T) *fileSpool {
	t.Helper()
	s, err := openSpool(t.TempDir() + "/spool")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.file.Close() })
	return s
}

func (s *fileSpool) take(l *spoolLine) {
	if f := l.Frozen; f != nil {
		s.freezes++
		s.frozen[f.Number] = f
		s.last = max(s.last, f.Number)
		for _, op := range f.Ops {
			s.last = max(s.last, op.Entry)
			if !slices.ContainsFunc(s.queued, func(q poolkeeper.QueuedOp) bool { return q.Entry == op.Entry }) {
				s.queued = append(s.queued, op)
			}
		}
		return
	}
	delete(s.frozen, l.Settled)
	for i, r := range l.Results {
		if r.Status == "" && r.Err == nil {
			continue
		}
		s.settled[l.Entries[i]] = r
		s.queued = slices.DeleteFunc(s.queued, func(q poolkeeper.QueuedOp) bool { return q.Entry == l.Entries[i] })
	}
}

func (s *fileSpool) write(l *spoolLine) error {
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if _, err := s.file.Write(append(b, '\n')); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	s.take(l)
	return nil
}

// add queues ops that no store has been given.
func (s *fileSpool) add(ops ...poolkeeper.Op) (queued []poolkeeper.QueuedOp) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, op := range ops {
		s.last++
		queued = append(queued, poolkeeper.QueuedOp{Entry: s.last, Op: op})
	}
	s.queued = append(s.queued, queued...)
	return queued
}

func (s *fileSpool) Freeze(f *poolkeeper.Frozen) error {
	if err := s.err("freeze"); err != nil {
		return err
	}
	s.at("before freeze")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	f.Number = s.last
	for i := range f.Ops {
		if f.Ops[i].Entry == 0 {
			s.last++
			f.Ops[i].Entry = s.last
		}
	}
	err := s.write(&spoolLine{Frozen: f})
	s.at("after freeze")
	return err
}

func (s *fileSpool) Settle(f *poolkeeper.Frozen, results []poolkeeper.Result) error {
	if err := s.err("settle"); err != nil {
		return err
	}
	s.at("before settle")
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &spoolLine{Settled: f.Number, Results: results}
	for _, op := range f.Ops {
		l.Entries = append(l.Entries, op.Entry)
	}
	err := s.write(l)
	s.at("after settle")
	return err
}

// left are the queued ops that no frozen request has, and the frozen requests.
func (s *fileSpool) left() (ops []poolkeeper.QueuedOp, frozen []*poolkeeper.Frozen) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := map[uint64]bool{}
	for _, f := range s.frozen {
		frozen = append(frozen, f)
		for _, op := range f.Ops {
			in[op.Entry] = true
		}
	}
	slices.SortFunc(frozen, func(a, b *poolkeeper.Frozen) int { return int(a.Number) - int(b.Number) })
	for _, q := range s.queued {
		if !in[q.Entry] {
			ops = append(ops, q)
		}
	}
	return ops, frozen
}

func (s *fileSpool) result(entry uint64) (poolkeeper.Result, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.settled[entry]
	return r, ok
}

// spooled opens a store with a spool behind a proxy.
func (s *fileSpool) option(o *redisstore.Options) { o.Spool = s }

func sha1Hex(b []byte) string {
	sum := sha1.Sum(b)
	return hex.EncodeToString(sum[:])
}

// load is all of a store as text, without its revisions.
func (r *rig) load() string {
	r.Helper()
	snap, err := r.b.Load(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	var lines []string
	for _, p := range snap.Pools {
		for _, v := range p.Providers {
			lines = append(lines, fmt.Sprintf("%s %s %+v", v.Ref, v.Definition, v.State))
		}
	}
	for k, d := range snap.Values {
		lines = append(lines, fmt.Sprintf("%s %s", k, d.Data))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
