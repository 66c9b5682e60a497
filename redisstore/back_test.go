package redisstore_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

// A copied store has a copy of what it can put back.
type copied struct {
	*redisstore.Store
	snap atomic.Pointer[poolkeeper.Snapshot]
}

// copying opens a store with a copy, as a replica would keep it.
func (r *rig) copying(at string, change ...func(*redisstore.Options)) *copied {
	r.Helper()
	c := &copied{}
	c.Store = r.open(at, append(change, func(o *redisstore.Options) {
		o.Held = func(key poolkeeper.Key) (*poolkeeper.Snapshot, error) { return part(c.snap.Load(), key), nil }
	})...)
	return c
}

// part is what a snapshot has under a key.
func part(snap *poolkeeper.Snapshot, key poolkeeper.Key) *poolkeeper.Snapshot {
	if snap == nil {
		return nil
	}
	p := &poolkeeper.Snapshot{Meta: snap.Meta, Pools: snap.Pools, Types: snap.Types, Values: map[poolkeeper.Key]poolkeeper.Document{}}
	for k, d := range snap.Values {
		if k == key || k.Kind == key.Kind && key.Name == "" {
			p.Values[k] = d
		}
	}
	return p
}

// copy makes the copy that of now.
func (r *rig) copy(c *copied) {
	r.Helper()
	snap, err := r.b.Load(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	c.snap.Store(snap)
}

// drop drops parts of the pool, and reports how many there were.
func (r *rig) drop(parts ...string) (n int64) {
	for _, p := range parts {
		if p == "" {
			n += r.srv.DoInt("UNLINK", rigPool)
		} else {
			n += r.srv.DoInt("UNLINK", "t:"+p+":{"+rigPool+"}")
		}
	}
	return n
}

// TestDroppedKeysArePutBack: whatever keys of a pool Redis drops, they are put back from
// a copy that may be some changes behind, and what comes after that is applied again from
// the tails of all instances: the counts are exact, whoever notices it first.
func TestDroppedKeysArePutBack(t *testing.T) {
	t.Parallel()
	for _, parts := range [][]string{{"ctl"}, {"state"}, {"order"}, {""}, {"ctl", "state"}, {"ctl", ""}, {"state", ""}, {"ctl", "state", "order", ""}} {
		for _, reads := range []bool{true, false} {
			t.Run(fmt.Sprintf("%q, reads=%v", parts, reads), func(t *testing.T) {
				t.Parallel()
				newRig(t).dropped(parts, reads)
			})
		}
	}
}

func (r *rig) dropped(parts []string, reads bool) {
	a, b := r.copying(r.srv.SocketURL()), r.copying(r.srv.SocketURL())
	r.must(a.Store, useOp("a", 1))
	r.must(b.Store, useOp("b", 10))
	r.copy(a)
	r.copy(b)
	r.must(a.Store, useOp("a", 2)) // which the copies do not have
	r.must(b.Store, useOp("a", 20))
	if n := r.drop(parts...); n != int64(len(parts)) {
		r.Fatalf("%d keys were there", n)
	}
	if reads {
		if snap, err := a.Load(r.Context(), kiro); err != nil || snap.Pools["kiro"] == nil || len(snap.Pools["kiro"].Providers) != 3 {
			r.Errorf("%v, %v", snap, err)
		}
	}
	r.must(b.Store, useOp("b", 100))
	r.must(a.Store, useOp("c", 4))
	r.counted("a", "28")
	r.counted("b", "110")
	r.counted("c", "4")
	if n := r.srv.DoInt("HLEN", rigPool); n != 3 {
		r.Errorf("%d definitions", n)
	}
	if got := r.srv.DoStrings("ZRANGE", "t:order:{"+rigPool+"}", "0", "-1"); reads && len(got) != 3 {
		r.Errorf("the order is %q", got)
	}
	r.nothingLost(a.Store)
	r.nothingLost(b.Store)
	if len(parts) < 4 {
		return
	}
	// A loss of the common kind, after it.
	r.srv.DoString("SAVE")
	r.must(a.Store, useOp("c", 8))
	r.older()
	r.counted("c", "12")
}

// TestDroppedWithoutCopy: where there is no copy, what is in the tail is counted, and the
// rest is reported.
func TestDroppedWithoutCopy(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.must(r.b, useOp("a", 1))
	tail := r.open(r.srv.SocketURL())
	r.must(tail, useOp("a", 20))
	none := r.open(r.srv.SocketURL(), func(o *redisstore.Options) { o.TailBytes = 1 })
	r.must(none, useOp("a", 300))
	r.drop("state")
	r.must(tail, useOp("a", 1))
	r.must(r.b, useOp("b", 1))
	r.counted("a", "27") // with 5 of the definition
	r.drop("ctl", "state")
	eventually(t, "it is counted from what the tails have", func() bool {
		r.must(r.b, useOp("c", 1))
		r.must(tail, useOp("c", 1))
		return r.usageOf("a") == "27"
	})
	r.must(none, useOp("c", 1))
	if lost := none.Lost(); len(lost) != 1 || lost[0].N != 300 || lost[0].AtMost {
		t.Errorf("reported as lost: %+v", lost)
	}
	r.nothingLost(r.b)
	r.nothingLost(tail)
}

// TestDroppedWhileInDoubt: an increment that was executed, and not answered, when Redis
// lost what it knew of the pool is neither counted again, nor said to be lost.
func TestDroppedWhileInDoubt(t *testing.T) {
	t.Parallel()
	for _, parts := range [][]string{{"ctl"}, {"ctl", "state", "order", ""}} {
		r := newRig(t)
		proxy := redistest.StartProxy(t, r.srv.Socket())
		c := r.copying(proxy.URL())
		r.must(c.Store, useOp("a", 1))
		proxy.StopAfter(0, true)
		done := make(chan poolkeeper.Result)
		go func() { done <- r.try(c.Store, useOp("a", 2)) }()
		eventually(t, "it is executed", func() bool { return r.usageOf("a") == "8" })
		r.copy(c)
		r.drop(parts...)
		proxy.Clear()
		res := <-done
		if poolkeeper.ClassOf(res.Err).Err != poolkeeper.ErrIndeterminate {
			t.Errorf("%q: it is answered %+v", parts, res)
		}
		r.must(c.Store, useOp("a", 10))
		r.counted("a", "18")
		r.nothingLost(c.Store)
	}
}

// TestValuesArePutBack: so are values that Redis drops, alone or with their ctl; one that
// was deleted is not.
func TestValuesArePutBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := poolkeeper.TokenKey(poolkeeper.Ref{Type: "kiro", ID: "a"})
	gone := poolkeeper.DocumentKey("gone.json")
	refs := poolkeeper.Key{Kind: poolkeeper.KindTokenRefs, Name: "configs/a.json"}
	r.must(r.b, putOp(token, `{"t":1}`))
	r.must(r.b, putOp(gone, `{"g":1}`))
	r.must(r.b, putOp(refs, `["kiro","a"]`))
	c := r.copying(r.srv.SocketURL())
	r.copy(c)
	r.must(r.b, poolkeeper.Op{Kind: poolkeeper.OpDelete, Key: gone})
	for _, keys := range [][]string{{"t:config", "t:tokens:kiro:a", "t:token-refs"}, {"t:config", "t:ctl:{t:tokens:kiro:a}", "t:tokens:kiro:a", "t:token-refs", "t:ctl:{t:token-refs}", "t:pool-order", "t:ctl:{t:pool-order}"}} {
		for _, k := range keys {
			r.srv.DoInt("UNLINK", k)
		}
		snap, err := c.Load(t.Context(), poolkeeper.TypesKey, poolkeeper.ConfigKey, poolkeeper.Key{Kind: poolkeeper.KindToken}, poolkeeper.Key{Kind: poolkeeper.KindTokenRefs}, gone)
		if err != nil {
			t.Fatal(err)
		}
		if len(snap.Types) != 1 || string(snap.Values[poolkeeper.ConfigKey].Data) != `{"a": 1}` || string(snap.Values[token].Data) != `{"t":1}` || string(snap.Values[refs].Data) != `["kiro","a"]` {
			t.Errorf("without %q: %+v", keys, snap)
		}
		if d, ok := snap.Values[gone]; ok {
			t.Errorf("what was deleted is back: %s", d.Data)
		}
		if n := r.srv.DoInt("EXISTS", "t:config", "t:tokens:kiro:a", "t:token-refs", "t:pool-order"); n != 4 {
			t.Errorf("%d of them are in Redis", n)
		}
		r.copy(c)
	}
	r.must(c.Store, patchOp(token, `{"u":2}`))
	if got := r.srv.DoString("GET", "t:tokens:kiro:a"); got != `{"t":1,"u":2}` {
		t.Errorf("the token is %s", got)
	}
}

// TestPutBackAsRestrictedUser: the documented ACL line is enough for it.
func TestPutBackAsRestrictedUser(t *testing.T) {
	t.Parallel()
	r := newRig(t, redistest.WithACL(aclLine(t, "t")))
	token := poolkeeper.TokenKey(poolkeeper.Ref{Type: "kiro", ID: "a"})
	r.must(r.b, putOp(token, `{"t":1}`))
	c := r.copying(withUser(t, r.srv.SocketURL(), "poolkeeper", "s3cret"))
	for i, want := range []string{"6", "7"} {
		r.copy(c)
		r.drop([][]string{{"ctl", "state"}, {"ctl", "state", "order", ""}}[i]...)
		r.srv.DoInt("UNLINK", "t:tokens:kiro:a", "t:ctl:{t:tokens:kiro:a}")
		r.must(c.Store, useOp("a", 1))
		r.counted("a", want)
		if snap, err := c.Load(t.Context(), token); err != nil || len(snap.Values) != 1 {
			t.Errorf("%+v, %v", snap, err)
		}
	}
	r.nothingLost(c.Store)
}

// TestCopyThatIsBehind: a copy of an older structure puts nothing back over what came
// after it; that of an instance which has it does.
func TestCopyThatIsBehind(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.copying(r.srv.SocketURL()), r.copying(r.srv.SocketURL())
	r.must(a.Store, useOp("a", 1))
	r.copy(b)
	r.must(a.Store, poolOp(poolkeeper.OpDeleteProvider, "c"))
	r.must(a.Store, defineOp(poolkeeper.OpAddProvider, "d", ""))
	r.copy(a)
	r.drop("")
	if snap, err := b.Load(t.Context(), kiro); !errors.Is(err, poolkeeper.ErrUnavailable) {
		t.Errorf("by the copy that is behind: %+v, %v", snap, err)
	}
	for _, c := range []*copied{a, b} {
		snap, err := c.Load(t.Context(), kiro)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, p := range snap.Pools["kiro"].Providers {
			ids = append(ids, p.ID)
		}
		if fmt.Sprint(ids) != "[a b d]" {
			t.Errorf("the providers are %q", ids)
		}
	}
}

// TestImportedCountsAreMissed: so are counts that were dropped before anything was
// counted on top of them.
func TestImportedCountsAreMissed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	snap := poolkeeper.NewSnapshot()
	p := &poolkeeper.Pool{Type: "kiro", Providers: []poolkeeper.Provider{{Ref: poolkeeper.Ref{Type: "kiro", ID: "a"}, Definition: []byte(`{"uuid":"a"}`)}}}
	p.Providers[0].State.Set(poolkeeper.UsageCount, "1000")
	snap.AddPool(p)
	r.srv.FlushAll()
	b := r.open(r.srv.SocketURL())
	if err := b.Restore(t.Context(), snap); err != nil {
		t.Fatal(err)
	}
	c := r.copying(r.srv.SocketURL())
	had, err := b.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.snap.Store(had)
	r.drop("state")
	r.must(c.Store, useOp("a", 1))
	r.counted("a", "1001")
}

// TestEmptiedIsNotPutBack: a pool whose last provider was deleted, one that was replaced by
// nothing, and a hash without fields are not taken for dropped, whatever a copy has.
func TestEmptiedIsNotPutBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	refs := func(name string) poolkeeper.Key { return poolkeeper.Key{Kind: poolkeeper.KindTokenRefs, Name: name} }
	r.must(r.b, putOp(refs("a"), `["kiro","a"]`))
	r.must(r.b, putOp(refs("b"), `["kiro","b"]`))
	r.must(r.b, useOp("a", 1))
	c := r.copying(r.srv.SocketURL())
	r.copy(c)
	r.must(r.b, deleteOp(refs("b")))
	r.srv.DoInt("UNLINK", "t:token-refs") // while it has a field
	if snap, err := c.Load(t.Context(), poolkeeper.Key{Kind: poolkeeper.KindTokenRefs}); err != nil || len(snap.Values) == 0 {
		t.Errorf("the paths: %+v, %v", snap, err)
	}
	r.must(r.b, deleteOp(refs("a")))
	if r.srv.DoInt("EXISTS", "t:token-refs") == 1 {
		r.must(r.b, deleteOp(refs("b")))
	}
	for _, id := range []string{"a", "b", "c"} {
		r.must(r.b, poolOp(poolkeeper.OpDeleteProvider, id))
	}
	nothing := func() {
		t.Helper()
		snap, err := c.Load(t.Context(), kiro, poolkeeper.Key{Kind: poolkeeper.KindTokenRefs})
		if err != nil || len(snap.Pools["kiro"].Providers) > 0 || len(snap.Values) > 0 {
			t.Errorf("%+v, %v", snap, err)
		}
		r.refused(c.Store, useOp("a", 1), poolkeeper.ErrNotFound)
	}
	nothing()
	r.must(c.Store, replaceOp("x"))
	r.must(c.Store, useOp("x", 1))
	r.must(c.Store, replaceOp())
	nothing()
}
