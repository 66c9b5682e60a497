package replica_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/replica"
	"github.com/poolkeeper/poolkeeper/storetest"
)

// seeded returns the seed of a random test, and logs it.
func seeded(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv(storetest.SeedVariable); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("to repeat this run: %s=%d", storetest.SeedVariable, seed)
	return seed
}

// randomOps are ops on a few pools and values; many of them are refused.
func randomOps(r *rand.Rand) poolkeeper.Op {
	pool := poolkeeper.PoolKey([]string{"a", "b", "c"}[r.IntN(3)])
	id := func() string { return fmt.Sprintf("p%d", r.IntN(8)) }
	at := 1_700_000_000_000 + r.Int64N(1e9)
	define := func(id string) []byte { return fmt.Appendf(nil, `{"uuid":%q,"n":%d}`, id, r.IntN(100)) }
	one := id()
	switch r.IntN(30) {
	case 0, 1, 2, 3, 4:
		return poolkeeper.Op{Kind: poolkeeper.OpAddProvider, Key: pool, ID: one, Data: define(one)}
	case 5:
		return poolkeeper.Op{Kind: poolkeeper.OpPutProvider, Key: pool, ID: one, Data: define(one)}
	case 6:
		return poolkeeper.Op{Kind: poolkeeper.OpPatchProvider, Key: pool, ID: one, Patch: poolkeeper.MergePatch, Data: fmt.Appendf(nil, `{"m":%d}`, r.IntN(100))}
	case 7:
		return poolkeeper.Op{Kind: poolkeeper.OpDeleteProvider, Key: pool, ID: one}
	case 8, 9:
		return poolkeeper.Op{Kind: poolkeeper.OpRenameProvider, Key: pool, ID: one, NewID: id()}
	case 10:
		var records []poolkeeper.ProviderRecord
		for i := range r.IntN(5) {
			id := fmt.Sprintf("p%d", i)
			records = append(records, poolkeeper.ProviderRecord{ID: id, Definition: define(id)})
		}
		return poolkeeper.Op{Kind: poolkeeper.OpReplacePool, Key: pool, Providers: records}
	case 11:
		return poolkeeper.Op{Kind: poolkeeper.OpDeletePool, Key: pool}
	case 12:
		types := []string{"a", "b", "c", "own"}
		r.Shuffle(len(types), func(i, j int) { types[i], types[j] = types[j], types[i] })
		return poolkeeper.Op{Kind: poolkeeper.OpReorderTypes, Key: poolkeeper.TypesKey, Order: types}
	case 13, 14, 15:
		key := []poolkeeper.Key{poolkeeper.ConfigKey, poolkeeper.DocumentKey("d"), poolkeeper.TokenKey(poolkeeper.Ref{Type: "a", ID: one}),
			poolkeeper.TokenRefKey("f" + one), poolkeeper.SessionKey(poolkeeper.SessionName(one))}[r.IntN(5)]
		if r.IntN(3) == 0 {
			return poolkeeper.Op{Kind: poolkeeper.OpDelete, Key: key}
		}
		data := fmt.Appendf(nil, `{"v":%d}`, r.IntN(1000))
		switch key.Kind {
		case poolkeeper.KindTokenRefs:
			data = poolkeeper.EncodeTokenOwner(poolkeeper.Ref{Type: "a", ID: one})
		case poolkeeper.KindSession:
			data = poolkeeper.EncodeSession(one, data)
		}
		return poolkeeper.Op{Kind: poolkeeper.OpPut, Key: key, Data: data}
	case 16, 17:
		return poolkeeper.Op{Kind: poolkeeper.OpError, Key: pool, ID: one, At: at, Threshold: 3}
	case 18:
		return poolkeeper.Op{Kind: poolkeeper.OpReset, Key: pool, ID: one, At: at, Usage: true}
	}
	return poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: pool, ID: one, At: at, N: 1}
}

// TestBadlyTold: whatever is dropped, told twice, late or in another order, and
// however often the watch ends, every copy becomes the store; and all the while
// whoever writes reads what he wrote, and nobody reads something older than before.
func TestBadlyTold(t *testing.T) {
	seed := seeded(t)
	for name, f := range map[string]*faulty{
		"slowly":    {slow: 3 * time.Millisecond},
		"twice":     {twice: 200, slow: time.Millisecond},
		"dropped":   {drop: 50},
		"reordered": {late: 200, slow: time.Millisecond},
		"cut":       {end: 20, slow: time.Millisecond, loading: 5 * time.Millisecond},
		"all":       {slow: 2 * time.Millisecond, twice: 50, drop: 30, late: 50, end: 10, loading: 4 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { badlyTold(t, f, seed) })
		})
	}
}

func badlyTold(t *testing.T, like *faulty, seed uint64) {
	store := memstore.New(nil)
	snap := poolkeeper.NewSnapshot()
	own := &poolkeeper.Pool{Type: "own"} // whose providers are only counted
	for i := range 4 {
		id := strconv.Itoa(i)
		own.Providers = append(own.Providers, poolkeeper.Provider{Ref: poolkeeper.Ref{Type: "own", ID: id}, Definition: fmt.Appendf(nil, `{"uuid":%q,"usageCount":7}`, id)})
	}
	snap.AddPool(own)
	if err := store.Restore(t.Context(), snap); err != nil {
		t.Fatal(err)
	}
	var sources [2]*faulty
	var copies [2]*replica.Replica
	for i := range copies {
		sources[i] = &faulty{Store: store, seed: seed + uint64(i), drop: like.drop, twice: like.twice, late: like.late, end: like.end, slow: like.slow, loading: like.loading}
		copies[i] = over(t, sources[i], time.Now)
		defer copies[i].Close()
	}
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(w)))
			b := copies[w%2]
			seen := &observer{t: t, b: b}
			for range 300 {
				time.Sleep(rand.N(2 * time.Millisecond))
				seen.write(randomOps(r))
				seen.count(poolkeeper.Ref{Type: "own", ID: strconv.Itoa(r.IntN(4))})
				seen.look()
			}
		})
	}
	wg.Wait()
	time.Sleep(5 * time.Minute) // by which the slow check has been at everything
	want, err := store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range copies {
		got, err := b.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if d := storetest.Diff(want, got); d != "" {
			t.Errorf("copy %d is not the store:\n%s", i, d)
		}
		for typ, p := range want.Pools {
			if got.Pools[typ] != nil && (got.Pools[typ].Revision != p.Revision || got.Pools[typ].Structure != p.Structure) {
				t.Errorf("copy %d has pool %s at %s and %s, the store at %s and %s", i, typ, got.Pools[typ].Revision, got.Pools[typ].Structure, p.Revision, p.Structure)
			}
		}
		if info, err := b.Info(t.Context()); err != nil || info.Details["copy"] != "current" || len(info.Warnings) > 0 {
			t.Errorf("copy %d: %+v, %v", i, info, err)
		}
		m, s := b.Measure(t.Context()).Copy, sources[i]
		t.Logf("copy %d: %+v; dropped %d, twice %d, late %d, ended %d", i, *m, s.dropped.Load(), s.doubled.Load(), s.moved.Load(), s.ended.Load())
		if (like.drop > 0) != (s.dropped.Load() > 0) || (like.twice > 0) != (s.doubled.Load() > 0) || (like.late > 0) != (s.moved.Load() > 0) || (like.end > 0) != (s.ended.Load() > 0) {
			t.Error("the faults did not occur")
		}
		if (like.drop > 0 || like.late > 0) && m.Gaps == 0 || like.end > 0 && m.Lost == 0 || m.Older > 0 {
			t.Errorf("what was met does not show: %+v", *m)
		}
	}
}

// TestTwoWriteOneProvider: two instances write different fields of one provider,
// and hear of each other after a random time: both end with the same.
func TestTwoWriteOneProvider(t *testing.T) {
	seed := seeded(t)
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New(nil)
		if err := store.Restore(t.Context(), filled(1)); err != nil {
			t.Fatal(err)
		}
		ref := poolkeeper.Ref{Type: "claude-kiro-oauth", ID: "00000000-0000-4000-8000-000000000000"}
		var copies [2]*poolkeeper.Store
		var wg sync.WaitGroup
		for i := range copies {
			copies[i] = poolkeeper.New(over(t, &faulty{Store: store, seed: seed, slow: 10 * time.Millisecond}, time.Now), nil)
			defer copies[i].Close()
			wg.Go(func() {
				r := rand.New(rand.NewPCG(seed, uint64(i)))
				for n := range 200 {
					time.Sleep(rand.N(5 * time.Millisecond))
					if _, err := copies[i].PatchProvider(t.Context(), ref, poolkeeper.MergePatch, fmt.Appendf(nil, `{"of%d":%d}`, i, n), poolkeeper.Always); err != nil {
						t.Error(err)
					}
					if r.IntN(2) == 0 {
						if _, err := copies[i].Usage(t.Context(), ref, 1); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
		time.Sleep(10 * time.Second) // by which all that was told has arrived
		want, err := poolkeeper.New(store, nil).Provider(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := want.JSON()
		for i, st := range copies {
			v, err := st.View(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got, err := v.Provider(ref).JSON(); err != nil || string(got) != string(text) {
				t.Errorf("instance %d has %s, want %s", i, got, text)
			}
			if m := st.Backend().(*replica.Replica).Measure(t.Context()).Copy; m.Gaps > 0 {
				t.Errorf("instance %d: %+v", i, *m)
			}
		}
	})
}

// An observer writes and reads as one caller of one instance.
type observer struct {
	t     *testing.T
	b     *replica.Replica
	pools map[string]uint64
	used  map[poolkeeper.Ref]int64
}

// write makes an op and reads what it was answered.
func (o *observer) write(op poolkeeper.Op) {
	res := o.b.Apply(context.Background(), op)[0]
	switch {
	case res.Err != nil:
		return
	case op.Key.Kind == poolkeeper.KindPool:
		snap := o.load(op.Key)
		p := snap.Pools[op.Key.Type]
		if p == nil || p.Revision.Number < res.Revision.Number {
			if v := o.pool(op.Key.Type); v < res.Revision.Number && p != nil {
				o.t.Errorf("%s was answered %s, and the pool is read at %v", op.Kind, res.Revision, p.Revision)
			}
		}
		if p != nil && !op.IsRuntime() {
			if v := o.b.View().Pool(op.Key.Type); v != nil && v.Revision().Number < res.Revision.Number {
				o.t.Errorf("%s was answered %s, and the view is at %s", op.Kind, res.Revision, v.Revision())
			}
		}
	case op.Kind == poolkeeper.OpPut:
		if d, ok := o.load(op.Key).Values[op.Key]; ok && d.Revision.Number < res.Revision.Number {
			o.t.Errorf("a put of %s was answered %s, and it is read at %s", op.Key, res.Revision, d.Revision)
		}
	}
}

func (o *observer) load(keys ...poolkeeper.Key) *poolkeeper.Snapshot {
	snap, err := o.b.Load(context.Background(), keys...)
	if err != nil {
		o.t.Errorf("Load: %v", err)
		return poolkeeper.NewSnapshot()
	}
	return snap
}

func (o *observer) pool(typ string) uint64 { return o.pools[typ] }

// count counts a use, and reads that it was.
func (o *observer) count(ref poolkeeper.Ref) {
	res := o.b.Apply(context.Background(), poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey(ref.Type), ID: ref.ID, At: 1, N: 1})[0]
	if res.Err != nil {
		o.t.Errorf("usage: %v", res.Err)
		return
	}
	p := o.load(poolkeeper.ProviderKey(ref)).Provider(ref)
	if p == nil || p.Count(poolkeeper.UsageCount) < res.Count {
		o.t.Errorf("%s was counted to be %d, and is read as %v", ref, res.Count, p)
	}
}

// look reads what nothing may be older of than what was read before.
func (o *observer) look() {
	if o.pools == nil {
		o.pools, o.used = map[string]uint64{}, map[poolkeeper.Ref]int64{}
	}
	v := o.b.View()
	pool := v.Pool("own")
	if pool == nil {
		o.t.Error("a pool that nobody deletes is gone")
		return
	}
	if n := pool.Revision().Number; n < o.pools["own"] {
		o.t.Errorf("the pool was read at %d, then at %d", o.pools["own"], n)
	} else {
		o.pools["own"] = n
	}
	for i := range pool.Len() {
		p := pool.At(i)
		if n := p.Count(poolkeeper.UsageCount); n < o.used[p.Ref()] {
			o.t.Errorf("%s was read as %d, then as %d", p.Ref(), o.used[p.Ref()], n)
		} else {
			o.used[p.Ref()] = n
		}
	}
}
