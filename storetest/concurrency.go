package storetest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

const clients = 12

// together runs fn in several goroutines, each with one of the handles, and
// waits for all of them.
func (f *fixture) together(n int, fn func(i int, b poolkeeper.Backend)) {
	f.Helper()
	hs := f.handles(3)
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-begin
			fn(i, hs[i%len(hs)])
		})
	}
	close(begin)
	wg.Wait()
}

// race lets several writers do the same op on the same base, and returns how
// many it let through. The others must be refused as conflicts.
func (f *fixture) race(op poolkeeper.Op) int {
	f.Helper()
	var won atomic.Int64
	f.together(clients, func(_ int, b poolkeeper.Backend) {
		switch err := b.Apply(f.ctx, op)[0].Err; {
		case err == nil:
			won.Add(1)
		case !errors.Is(err, poolkeeper.ErrConflict):
			f.Errorf("a writer that lost: error %v, want %v", err, poolkeeper.ErrConflict)
		}
	})
	return int(won.Load())
}

var concurrencyCases = []testCase{
	{"concurrent increments are counted exactly once", func(t *testing.T, h Harness) {
		f := start(t, h)
		const each = 100
		providers := []poolkeeper.Ref{ref("t", "a"), ref("t", "b"), ref("{u}", "a")}
		for _, r := range providers {
			f.do(add(r, `"usageCount":9007199254740993`))
		}
		var mu sync.Mutex
		seen := map[poolkeeper.Ref]map[int64]bool{}
		f.together(clients, func(_ int, b poolkeeper.Backend) {
			for range each {
				for _, r := range providers {
					res := b.Apply(f.ctx, usage(r, 1))[0]
					if res.Err != nil {
						t.Errorf("usage of %s: %v", r, res.Err)
						return
					}
					mu.Lock()
					if seen[r] == nil {
						seen[r] = map[int64]bool{}
					}
					if seen[r][res.Count] {
						t.Errorf("%s: the count %d was answered twice", r, res.Count)
					}
					seen[r][res.Count] = true
					mu.Unlock()
				}
			}
		})
		for _, r := range providers {
			if got, want := f.provider(r).Count(poolkeeper.UsageCount), int64(9007199254740993+clients*each); got != want {
				t.Errorf("%s has usageCount %d, want %d", r, got, want)
			}
		}
	}},
	{"increments are exact beside every other op", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		f.do(add(a, `"usageCount":5`), add(ref("t", "b"), ""))
		var sum atomic.Int64
		f.together(clients, func(i int, b poolkeeper.Backend) {
			for n := range 60 {
				var op poolkeeper.Op
				switch {
				case i >= 4:
					op = usage(a, int64(1+n%3))
				case i == 0:
					op = put(a, fmt.Sprintf(`"usageCount":%d,"n":%d`, n, n))
				case i == 1:
					op = merge(a, fmt.Sprintf(`{"m":%d}`, n))
				case i == 2:
					op = []poolkeeper.Op{on(poolkeeper.OpError, a), on(poolkeeper.OpReset, a)}[n%2]
				default:
					op = []poolkeeper.Op{reorder("t", "a", "b"), reorder("t", "b", "a")}[n%2]
				}
				if res := b.Apply(f.ctx, op)[0]; res.Err != nil {
					t.Errorf("%s: %v", op.Kind, res.Err)
				} else if op.Kind == poolkeeper.OpUsage {
					sum.Add(op.N)
				}
			}
		})
		if got, want := f.provider(a).Count(poolkeeper.UsageCount), 5+sum.Load(); got != want {
			t.Errorf("usageCount %d, want %d", got, want)
		}
	}},
	{"concurrent patches of one document are all in it", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		f.do(add(a, `"list":[]`), putValue(poolkeeper.ConfigKey, `{"list":[]}`))
		const each = 8
		f.together(clients/2, func(i int, b poolkeeper.Backend) {
			for n := range each {
				data := []byte(fmt.Sprintf(`[{"op":"add","path":"/list/-","value":%d}]`, i*each+n))
				for _, op := range []poolkeeper.Op{
					{Kind: poolkeeper.OpPatchProvider, Key: poolkeeper.PoolKey("t"), ID: "a", Patch: poolkeeper.JSONPatch, Data: data},
					{Kind: poolkeeper.OpPatch, Key: poolkeeper.ConfigKey, Patch: poolkeeper.JSONPatch, Data: data},
				} {
					if res := b.Apply(f.ctx, op)[0]; res.Err != nil {
						t.Errorf("%s: %v", op.Kind, res.Err)
					}
				}
			}
		})
		for what, data := range map[string][]byte{"definition": f.provider(a).Definition, "config": f.load().Values[poolkeeper.ConfigKey].Data} {
			last := map[int64]int64{} // client → its last one
			list, _ := rawjson.Get(data, "list")
			count := 0
			if err := rawjson.Array(list, func(_ int, raw []byte) error {
				n, _ := rawjson.ParseCount(raw)
				if before, ok := last[n/each]; ok && before > n {
					t.Errorf("%s: %d came after %d", what, n, before)
				}
				last[n/each] = n
				count++
				return nil
			}); err != nil || count != clients/2*each {
				t.Errorf("%s has %d of %d: %v", what, count, clients/2*each, err)
			}
		}
	}},
	{"increments follow a rename", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(add(ref("t", "p0"), ""))
		f.together(clients, func(i int, b poolkeeper.Backend) {
			for n := range 40 {
				op := usage(ref("t", "p0"), 1)
				if i == 0 {
					op = rename(ref("t", "p0"), "p"+strconv.Itoa(n+1))
				}
				if res := b.Apply(f.ctx, op)[0]; res.Err != nil {
					t.Errorf("%s: %v", op.Kind, res.Err)
				}
			}
		})
		if p := f.provider(ref("t", "p0")); p.ID != "p40" || p.Count(poolkeeper.UsageCount) != 40*(clients-1) {
			t.Errorf("%s has usageCount %d, want p40 with %d", p.Ref, p.Count(poolkeeper.UsageCount), 40*(clients-1))
		}
	}},
	{"ops of one caller on one key take effect in their order", func(t *testing.T, h Harness) {
		f := start(t, h)
		key := func(i int) poolkeeper.Key { return poolkeeper.DocumentKey("d" + strconv.Itoa(i)) }
		f.together(clients, func(i int, b poolkeeper.Backend) {
			for n := range 50 {
				op := putValue(key(i), fmt.Sprintf(`{"n":%d}`, n))
				id := fmt.Sprintf("%d-%d", i, n)
				for _, r := range b.Apply(f.ctx, op, add(ref("t", id), ""), usage(ref("t", id), 1), remove(ref("t", id))) {
					if r.Err != nil {
						t.Errorf("client %d, round %d: %v", i, n, r.Err)
					}
				}
			}
		})
		for i := range clients {
			f.wantData(key(i), `{"n":49}`)
		}
		f.wantIDs("t")
	}},
	{"a reader sees a replaced pool whole, the old or the new one", func(t *testing.T, h Harness) {
		f := start(t, h)
		sizes := []int{50, 3000, 1, 0, 3000, 50}
		f.do(replace("t", many(50, 0)...))
		var done atomic.Bool
		f.together(4, func(i int, b poolkeeper.Backend) {
			if i == 0 {
				defer done.Store(true)
				for n := range 2 * len(sizes) {
					if res := b.Apply(f.ctx, replace("t", many(sizes[n%len(sizes)], n)...))[0]; res.Err != nil {
						t.Errorf("replace: %v", res.Err)
					}
				}
				return
			}
			for !done.Load() {
				snap, err := b.Load(f.ctx, poolkeeper.PoolKey("t"))
				if err != nil || snap.Pools["t"] == nil {
					t.Errorf("the pool cannot be read while it is replaced: %v", err)
					return
				}
				oneGeneration(t, snap.Pools["t"], sizes)
			}
		})
		last := 2*len(sizes) - 1
		if got := f.pool("t"); len(got.Providers) != sizes[last%len(sizes)] {
			t.Errorf("%d providers in the end, want %d", len(got.Providers), sizes[last%len(sizes)])
		}
	}},
	{"a reader sees a document whole", func(t *testing.T, h Harness) {
		f := start(t, h)
		key := poolkeeper.DocumentKey("d")
		body := func(n int) string { return fmt.Sprintf(`{"n":%d,"long":"%050000d"}`, n%10, n%10) }
		f.do(putValue(key, body(0)))
		var done atomic.Bool
		f.together(3, func(i int, b poolkeeper.Backend) {
			if i == 0 {
				defer done.Store(true)
				for n := range 30 {
					if res := b.Apply(f.ctx, putValue(key, body(n)))[0]; res.Err != nil {
						t.Errorf("put: %v", res.Err)
					}
				}
				return
			}
			for !done.Load() {
				snap, err := b.Load(f.ctx, key)
				if err != nil {
					t.Errorf("Load: %v", err)
					return
				}
				data := snap.Values[key].Data
				lit, _ := rawjson.Get(data, "n")
				if n, err := strconv.Atoi(string(lit)); err != nil || string(data) != body(n) {
					t.Errorf("half a document: %s", excerpt(data))
					return
				}
			}
		})
	}},
}

// oneGeneration fails where a pool has providers of two generations, or not as
// many as its generation has.
func oneGeneration(t *testing.T, p *poolkeeper.Pool, sizes []int) {
	t.Helper()
	if len(p.Providers) == 0 {
		return
	}
	first, _ := rawjson.Get(p.Providers[0].Definition, "generation")
	for i := range p.Providers {
		lit, _ := rawjson.Get(p.Providers[i].Definition, "generation")
		if string(lit) != string(first) || p.Providers[i].ID != "p"+strconv.Itoa(i) {
			t.Errorf("a mix of the generations %s and %s, or of orders", first, lit)
			return
		}
	}
	n, _ := strconv.Atoi(string(first))
	if want := sizes[n%len(sizes)]; len(p.Providers) != want {
		t.Errorf("%d providers of generation %s, which has %d", len(p.Providers), first, want)
	}
}
