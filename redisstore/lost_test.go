package redisstore_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

// everyOp has ops of every kind on keys that were written before, and on keys
// that were not.
func everyOp() []poolkeeper.Op {
	var ops []poolkeeper.Op
	for _, k := range scriptKinds {
		ops = append(ops, k.op)
	}
	other := poolkeeper.TokenKey(poolkeeper.Ref{Type: "kiro", ID: "untouched"})
	added := defineOp(poolkeeper.OpAddProvider, "n", "")
	added.Key = poolkeeper.PoolKey("untouched")
	used := useOp("n", 1)
	used.Key = added.Key
	theirs := useOp("o", 1) // which only the other store has used
	theirs.Key = poolkeeper.PoolKey("other")
	return append(ops, theirs, putOp(other, "{}"), patchOp(other, "{}"), deleteOp(other), added, used)
}

// A Redis that has lost everything is noticed, by what was touched before and
// by what was not, and nothing is written to it.
func TestEmptiedRedisIsNoticed(t *testing.T) {
	r := newRig(t)
	r.must(r.b, useOp("a", 1))
	r.must(r.b, patchOp(poolkeeper.ConfigKey, `{"b":1}`))
	r.srv.FlushAll()
	r.staysLost(r.b, "an emptied Redis")
	if n := r.srv.DoInt("DBSIZE"); n != 0 {
		t.Errorf("%d keys were written: %v", n, r.srv.Keys("*"))
	}
}

// staysLost fails where a store does anything with a Redis that is not the one
// that it knows, before and after it was asked how it is.
func (r *rig) staysLost(b *redisstore.Store, what string) {
	r.Helper()
	for range 2 {
		r.unchanged(what, func() {
			for _, op := range everyOp() {
				r.refused(b, op, poolkeeper.ErrLost)
			}
			for _, keys := range [][]poolkeeper.Key{nil, {kiro}, {poolkeeper.ConfigKey}, {poolkeeper.ProviderKey(poolkeeper.Ref{Type: "kiro", ID: "a"})}} {
				if snap, err := b.Load(r.Context(), keys...); !errors.Is(err, poolkeeper.ErrLost) {
					r.Errorf("Load of %v: %+v, error %v; want ErrLost", keys, snap, err)
				}
			}
			info, err := b.Info(r.Context())
			if err != nil || info.Ready || info.Problem == "" {
				r.Errorf("Info: %+v, %v", info, err)
			}
		})
	}
}

// Another store under the same prefix is not taken for the one that was opened.
func TestAnotherEpochIsNoticed(t *testing.T) {
	r := newRig(t)
	r.must(r.b, useOp("a", 1))
	r.srv.FlushAll()
	other := r.open(r.srv.SocketURL())
	snap := rigSnapshot()
	snap.AddPool(&poolkeeper.Pool{Type: "untouched"})
	if err := other.Restore(t.Context(), snap); err != nil {
		t.Fatal(err)
	}
	r.twoTypes(other)
	for _, op := range []poolkeeper.Op{useOp("a", 1), patchOp(poolkeeper.ConfigKey, `{"b":1}`), putOp(poolkeeper.PasswordKey, "p")} {
		r.must(other, op)
	}
	r.staysLost(r.b, "a store of another epoch")
	r.must(other, useOp("a", 1))
}

// A Redis that came back from an older state is noticed by whoever had written
// since, key by key, and refused where nothing was kept to mend it with.
func TestOlderRedisIsNoticed(t *testing.T) {
	r := newRig(t)
	r.b = r.open(r.srv.SocketURL(), tailless)
	r.must(r.b, useOp("a", 1))
	r.must(r.b, putOp(poolkeeper.PasswordKey, "one"))
	r.srv.DoString("SAVE")
	r.must(r.b, useOp("a", 1))
	r.must(r.b, patchOp(poolkeeper.ConfigKey, `{"b":1}`))
	r.must(r.b, patchOp(poolkeeper.ConfigKey, `{"b":2}`))
	if _, err := os.Stat(filepath.Join(r.srv.Dir(), "dump.rdb")); err != nil {
		t.Fatal(err)
	}
	r.srv.Kill()
	r.srv.Restart()
	if got := r.usageOf("a"); got != "6" {
		t.Fatalf("usageCount %s after the restart, want 6", got)
	}
	r.unchanged("a write on top of an older state", func() {
		for _, op := range []poolkeeper.Op{useOp("a", 1), errorOp("b"), replaceOp("x"), defineOp(poolkeeper.OpAddProvider, "d", ""), patchOp(poolkeeper.ConfigKey, `{"b":3}`)} {
			r.refused(r.b, op, poolkeeper.ErrLost)
			r.refused(r.b, op, poolkeeper.ErrLost) // and not just once
		}
	})
	// What it has kept all of goes on.
	r.must(r.b, putOp(poolkeeper.PasswordKey, "two"))
	// So does an instance that begins anew.
	if res := r.must(r.open(r.srv.SocketURL()), useOp("a", 1)); res.Count != 7 {
		t.Errorf("usageCount %d, want 7", res.Count)
	}
}

func tailless(o *redisstore.Options) { o.TailTime = -1 }

// Scripts are sent whole where the server does not have them.
func TestScriptsForgotten(t *testing.T) {
	r := newRig(t)
	for i := range 3 {
		if res := r.must(r.b, useOp("b", 1)); res.Count != int64(i+1) {
			t.Errorf("usageCount %d, want %d", res.Count, i+1)
		}
		if _, err := r.srv.Do("SCRIPT", "FLUSH"); err != nil {
			t.Fatal(err)
		}
	}
}

// Where a user may not call SCRIPT, nothing is missing: it is never called.
func TestScriptCommandIsNotNeeded(t *testing.T) {
	srv := redistest.Start(t, redistest.WithACL("u on >pw ~* &* +@all -script"))
	r := rigOn(t, srv)
	b := r.open(withUser(t, srv.SocketURL(), "u", "pw"))
	if _, err := srv.Do("SCRIPT", "FLUSH"); err != nil {
		t.Fatal(err)
	}
	if res := r.must(b, useOp("b", 1)); res.Count != 1 {
		t.Errorf("usageCount %d, want 1", res.Count)
	}
	r.must(b, useOp("b", 1))
	if n := calls(srv, "evalsha"); n == 0 {
		t.Error("every script is sent whole")
	}
}
