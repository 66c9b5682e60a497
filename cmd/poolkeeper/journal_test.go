package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/journal"
	"github.com/poolkeeper/poolkeeper/replica/backlog"
	"github.com/rogpeppe/go-internal/testscript"
)

// fillJournal makes a journal of four segments with four records each.
func fillJournal(dir string) error {
	j, err := journal.Open(dir, &journal.Options{SegmentBytes: 320})
	if err != nil {
		return err
	}
	defer j.Close()
	for i := range 16 {
		if _, err := j.Append(context.Background(), nil, fmt.Appendf(nil, "record %060d", i)); err != nil {
			return err
		}
	}
	return nil
}

// journal DIR makes a journal.
func makeJournal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: journal DIR")
	}
	ts.Check(fillJournal(ts.MkAbs(args[0])))
}

// flip FILE OFFSET changes a bit.
func flipByte(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: flip FILE OFFSET")
	}
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	b, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	b[at] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o600))
}

// backlog DIR makes a journal of ops that wait: two do, three are set aside, and
// what they hold is a secret.
func makeBacklog(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: backlog DIR")
	}
	ts.Check(fillBacklog(ts.MkAbs(args[0]), false))
}

// fillBacklog makes one, where wanted so full that something was given up.
func fillBacklog(dir string, full bool) error {
	opts := &backlog.Options{}
	if full {
		opts.MaxBytes, opts.DropOldest = 3000, true
	}
	b, err := backlog.Open(dir, opts)
	if err != nil {
		return err
	}
	defer b.Close()
	for i := range 5 {
		op := poolkeeper.Op{Kind: poolkeeper.OpPutProvider, Key: poolkeeper.PoolKey("t"), ID: fmt.Sprint("p", i), Data: fmt.Appendf(nil, `{"uuid":"p%d","apiKey":"FAKE-SECRET"}`, i)}
		n, err := b.Append(context.Background(), op)
		if err == nil && i < 3 {
			err = b.Resolve([]uint64{n}, []poolkeeper.Result{{Err: poolkeeper.Errorf(poolkeeper.ErrNotFound, "there is no provider %s", op.Ref())}})
		}
		if err != nil {
			return err
		}
	}
	if full {
		if err := b.Lose(poolkeeper.Loss{Key: poolkeeper.PoolKey("t"), Reason: "lost", Ops: 2, N: 3, AtMost: true, First: 4, Last: 5}); err != nil {
			return err
		}
	}
	for i := 0; full && len(b.Dropped()) == 0; i++ {
		op := poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey("t"), ID: fmt.Sprint("p", i), N: 1, At: 1}
		if _, err := b.Append(context.Background(), op); err != nil {
			return err
		}
	}
	return nil
}

// hold DIR has the journal in use until the end of the script.
func holdJournal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hold DIR")
	}
	j, err := journal.Open(ts.MkAbs(args[0]), nil)
	ts.Check(err)
	ts.Defer(func() { j.Close() })
}

// TestJournalJSON holds list and repair to their JSON, and to what lies there.
func TestJournalJSON(t *testing.T) {
	state := t.TempDir()
	dir := filepath.Join(state, "journal")
	if err := fillJournal(dir); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"POOLKEEPER_STATE_DIR": state, "POOLKEEPER_CONFIG_DIR": t.TempDir()}
	list := func(want int) (l journalListing) {
		t.Helper()
		code, out, errOut := call(t.Context(), env, "", "journal", "list", "--json")
		if err := json.Unmarshal([]byte(out), &l); err != nil || code != want {
			t.Fatalf("exit code %d, want %d, %v: %s%s", code, want, err, out, errOut)
		}
		return l
	}
	l := list(0)
	if l.Dir != dir || l.Records != 16 || l.First != 1 || l.Last != 16 || l.Damaged || len(l.Segments) != 4 || l.Bytes == 0 {
		t.Errorf("%+v", l)
	}
	second := filepath.Join(dir, l.Segments[1].File)
	if err := os.Truncate(second, 200); err != nil {
		t.Fatal(err)
	}
	if l = list(1); !l.Damaged || l.Segments[1].Fault == "" || l.Segments[1].FaultAt == 0 || l.Segments[1].Records != 1 || l.Records != 13 {
		t.Errorf("%+v", l)
	}
	code, out, errOut := call(t.Context(), env, "", "journal", "repair", "--json")
	var r journal.Repaired
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 || r.Kept != 5 || r.Next != 17 || len(r.Aside) != 3 || len(r.Lost) != 3 {
		t.Errorf("exit code %d, %v: %s%s", code, err, out, errOut)
	}
	if l = list(0); l.Damaged || l.Records != 5 || l.Last != 5 || l.Lost != 11 {
		t.Errorf("%+v", l)
	}
}
