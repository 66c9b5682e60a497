package filestore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/filestore"
)

// TestReplay applies random ops while the clock moves, and opens the directory as
// a crash leaves it at a much later time: state, revisions and aliases are those
// that they were.
func TestReplay(t *testing.T) {
	ctx := context.Background()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for run := range 5 {
		var clock atomic.Int64
		clock.Store(1_700_000_000_000)
		now := func() time.Time { return time.UnixMilli(clock.Load()) }
		dir := editDir(t)
		opts := &filestore.Options{Lag: time.Hour, Poll: time.Hour, Now: now}
		s := openAt(t, dir, opts)
		renamed := map[poolkeeper.Ref]bool{}
		rename := func(from, to string) { // in a pool of its own
			key := poolkeeper.PoolKey("w")
			for _, res := range s.Apply(ctx, poolkeeper.Op{Kind: poolkeeper.OpAddProvider, Key: key, ID: from, Data: []byte(`{"uuid":"` + from + `"}`)},
				poolkeeper.Op{Kind: poolkeeper.OpRenameProvider, Key: key, ID: from, NewID: to}) {
				if res.Err != nil {
					t.Fatal(res.Err)
				}
			}
			renamed[poolkeeper.Ref{Type: "w", ID: from}] = true
		}
		rename("early", "early-2")
		for i := range 300 {
			clock.Add(r.Int64N(2 * 3600 * 1000))
			op := randomOp(r, i)
			op.At = clock.Load()
			if res := s.Apply(ctx, op)[0]; op.Kind == poolkeeper.OpRenameProvider && res.Err == nil {
				renamed[op.Ref()] = true
			}
			if run > 2 && r.IntN(60) == 0 {
				if err := s.Flush(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
		rename("late", "late-2")
		clock.Add(25 * 24 * 3600 * 1000) // some of the aliases have ended
		keys := []poolkeeper.Key{poolkeeper.MetaKey, poolkeeper.PoolsKey, poolkeeper.ConfigKey, {Kind: poolkeeper.KindDocument}, {Kind: poolkeeper.KindSession},
			{Kind: poolkeeper.KindToken}, {Kind: poolkeeper.KindTokenRefs}, {Kind: poolkeeper.KindFile}}
		for ref := range renamed {
			keys = append(keys, poolkeeper.ProviderKey(ref))
		}
		want, err := s.Load(ctx, keys...)
		if err != nil {
			t.Fatal(err)
		}
		other := openAt(t, copyOf(t, dir), opts)
		got, err := other.Load(ctx, keys...)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(want, got) {
			t.Errorf("run %d: another state after the replay: %v, then %v", run, summary(want), summary(got))
		}
		if _, early := want.Aliases[poolkeeper.Ref{Type: "w", ID: "early"}]; early || want.Aliases[poolkeeper.Ref{Type: "w", ID: "late"}] != "late-2" {
			t.Errorf("aliases %v", want.Aliases)
		}
	}
}

func summary(s *poolkeeper.Snapshot) string {
	text := fmt.Sprintf("types %q, aliases %v", s.Types, s.Aliases)
	for _, typ := range s.Types {
		p := s.Pools[typ]
		text += fmt.Sprintf("; %q %s %s:", typ, p.Revision, p.Structure)
		for i := range p.Providers {
			text += fmt.Sprintf(" %s %s %v", p.Providers[i].ID, p.Providers[i].Definition, p.Providers[i].State)
		}
	}
	for k, d := range s.Values {
		text += fmt.Sprintf("; %s %s", k, d.Revision)
	}
	return text
}

func randomOp(r *rand.Rand, i int) poolkeeper.Op {
	key := poolkeeper.PoolKey([]string{"t", "u", "v"}[r.IntN(3)])
	id := []string{"a", "b", "z", "p1", "p2", "p3"}[r.IntN(6)]
	define := func(id string) []byte {
		return fmt.Appendf(nil, `{"uuid":%q,"n":%d,"usageCount":%d}`, id, i, r.IntN(9))
	}
	message := fmt.Sprint("no ", i)
	switch r.IntN(14) {
	case 0:
		return poolkeeper.Op{Kind: poolkeeper.OpAddProvider, Key: key, ID: id, Data: define(id)}
	case 1:
		return poolkeeper.Op{Kind: poolkeeper.OpPutProvider, Key: key, ID: id, Data: define(id)}
	case 2:
		return poolkeeper.Op{Kind: poolkeeper.OpPatchProvider, Key: key, ID: id, Patch: poolkeeper.MergePatch, Data: fmt.Appendf(nil, `{"x":%d}`, i)}
	case 3:
		return poolkeeper.Op{Kind: poolkeeper.OpRenameProvider, Key: key, ID: id, NewID: fmt.Sprint("r", i)}
	case 4:
		return poolkeeper.Op{Kind: poolkeeper.OpDeleteProvider, Key: key, ID: id}
	case 5:
		return poolkeeper.Op{Kind: poolkeeper.OpReplacePool, Key: key, Providers: []poolkeeper.ProviderRecord{{ID: "b", Definition: define("b")}, {ID: id + "'", Definition: define(id + "'")}}}
	case 6:
		return poolkeeper.Op{Kind: poolkeeper.OpError, Key: key, ID: id, Threshold: 3, Message: &message}
	case 7:
		return poolkeeper.Op{Kind: poolkeeper.OpSuccess, Key: key, ID: id, N: 1}
	case 8:
		return poolkeeper.Op{Kind: poolkeeper.OpRefresh, Key: key, ID: id, Phase: poolkeeper.RefreshNeeded}
	case 9:
		name := poolkeeper.SessionName(fmt.Sprint(r.IntN(20)))
		return poolkeeper.Op{Kind: poolkeeper.OpPut, Key: poolkeeper.SessionKey(name), Data: poolkeeper.EncodeSession(name, []byte("{}")), ExpiresAt: 1_700_000_000_000 + r.Int64N(300*3600*1000)}
	case 10:
		return poolkeeper.Op{Kind: poolkeeper.OpPut, Key: poolkeeper.FileKey(fmt.Sprint("configs/f", r.IntN(3))), Data: []byte(message)}
	case 11:
		return poolkeeper.Op{Kind: poolkeeper.OpDelete, Key: poolkeeper.FileKey(fmt.Sprint("configs/f", r.IntN(3)))}
	case 12:
		return poolkeeper.Op{Kind: poolkeeper.OpPatch, Key: poolkeeper.ConfigKey, Patch: poolkeeper.MergePatch, Data: fmt.Appendf(nil, `{"x":%d}`, i)}
	}
	return poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: key, ID: id, N: 1}
}

// TestRefusedOpsWriteNothing looks at the journal.
func TestRefusedOpsWriteNothing(t *testing.T) {
	dir := editDir(t)
	s := openAt(t, dir, &filestore.Options{Lag: time.Hour, Poll: time.Hour})
	size := func() int64 {
		total := int64(0)
		files, err := filepath.Glob(filepath.Join(filepath.Dir(dir), ".poolkeeper", "journal", "*.log"))
		if err != nil || len(files) == 0 {
			t.Fatal(err)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range data { // it is written over zeros
				if b != 0 {
					total++
				}
			}
		}
		return total
	}
	before := size()
	key := poolkeeper.PoolKey("t")
	for _, op := range []poolkeeper.Op{
		{Kind: poolkeeper.OpUsage, Key: key, ID: "none", N: 1}, {Kind: poolkeeper.OpUsage, Key: key, ID: "a"},
		{Kind: poolkeeper.OpAddProvider, Key: key, ID: "a", Data: []byte(`{"uuid":"a"}`)},
		{Kind: poolkeeper.OpPut, Key: poolkeeper.ConfigKey, Data: []byte("{}"), If: "another"},
		{Kind: poolkeeper.OpDelete, Key: poolkeeper.DocumentKey("none")},
	} {
		if r := s.Apply(t.Context(), op)[0]; r.Err == nil {
			t.Errorf("%s was not refused", op.Kind)
		}
	}
	if rs := s.Apply(t.Context(), poolkeeper.Op{Kind: poolkeeper.OpPut, Key: poolkeeper.FileKey("configs/prompt.txt"), Data: []byte("one")}); rs[0].Err != nil || rs[0].Changed {
		t.Errorf("what is so already: %+v", rs[0])
	}
	if after := size(); after != before {
		t.Errorf("%d bytes were written", after-before)
	}
	if r := s.Apply(t.Context(), poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: key, ID: "a", N: 1})[0]; r.Err != nil || size() == before {
		t.Errorf("an op that is applied has no record: %v", r.Err)
	}
}

// TestFullJournal has a bound that is soon reached, while the files cannot be
// written: what is refused changes nothing, and it goes on when they can.
func TestFullJournal(t *testing.T) {
	dir := editDir(t)
	s := openAt(t, dir, &filestore.Options{Lag: time.Hour, Poll: time.Hour, JournalMaxBytes: 4 << 20})
	apply(t, dir, edit{"config.json": "{"})
	st := poolkeeper.New(s, nil)
	put := func(i int) error {
		_, err := st.PutFile(t.Context(), "configs/prompt.txt", fmt.Appendf(make([]byte, 0, 1<<20), "%01048576d", i), poolkeeper.Always)
		return err
	}
	last := 0
	var err error
	for i := 1; i < 10; i++ {
		if err = put(i); err != nil {
			break
		}
		last = i
	}
	if !errors.Is(err, poolkeeper.ErrUnavailable) || last == 0 {
		t.Fatalf("after %d: %v", last, err)
	}
	d, err := st.File(t.Context(), "configs/prompt.txt")
	if err != nil || string(d.Data) != fmt.Sprintf("%01048576d", last) {
		t.Errorf("not what was acknowledged: %v", err)
	}
	apply(t, dir, edit{"config.json": "{}"})
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := put(100); err != nil {
		t.Errorf("it does not go on: %v", err)
	}
}
