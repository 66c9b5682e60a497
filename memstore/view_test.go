package memstore

import (
	"math/rand/v2"
	"reflect"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// TestViewWhileOpsGoOn: the image of a view is that of its moment, whatever is
// done until it is made.
func TestViewWhileOpsGoOn(t *testing.T) {
	key, token := poolkeeper.PoolKey("t"), poolkeeper.TokenKey(poolkeeper.Ref{Type: "t", ID: "1"})
	usage := func(id, key string) poolkeeper.Op {
		return poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey("t"), ID: id, N: 1, IdempotencyKey: key}
	}
	for name, ops := range map[string][]poolkeeper.Op{
		"usage":         {usage("1", ""), usage("1", "")},
		"keyed":         {usage("1", "x"), usage("2", "y")},
		"error":         {{Kind: poolkeeper.OpError, Key: key, ID: "2", At: 5}},
		"patch":         {{Kind: poolkeeper.OpPatchProvider, Key: key, ID: "1", Patch: poolkeeper.MergePatch, Data: []byte(`{"y":1}`)}},
		"put":           {{Kind: poolkeeper.OpPutProvider, Key: key, ID: "1", Data: []byte(`{"uuid":"1","z":1}`)}},
		"add":           {{Kind: poolkeeper.OpAddProvider, Key: key, ID: "9", Data: []byte(`{"uuid":"9"}`)}, usage("9", "")},
		"rename":        {{Kind: poolkeeper.OpRenameProvider, Key: key, ID: "1", NewID: "n"}},
		"delete":        {{Kind: poolkeeper.OpDeleteProvider, Key: key, ID: "0"}, {Kind: poolkeeper.OpAddProvider, Key: key, ID: "0", Data: []byte(`{"uuid":"0","new":1}`)}},
		"reorder":       {{Kind: poolkeeper.OpReorderPool, Key: key, Order: []string{"2", "1", "0", "3"}}},
		"replace":       {{Kind: poolkeeper.OpReplacePool, Key: key, Providers: []poolkeeper.ProviderRecord{{ID: "1", Definition: []byte(`{"uuid":"1"}`)}}}, usage("1", "")},
		"delete pool":   {{Kind: poolkeeper.OpDeletePool, Key: key}},
		"types":         {{Kind: poolkeeper.OpReorderTypes, Key: poolkeeper.TypesKey, Order: []string{"u", "t"}}},
		"token":         {{Kind: poolkeeper.OpPut, Key: token, Data: []byte(`{"a":2}`)}},
		"token deleted": {{Kind: poolkeeper.OpDelete, Key: token}},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := opened(t)
			apply := func(op poolkeeper.Op) {
				t.Helper()
				if res := s.Commit(&op, s.millis(), "w", nil); res.Err != nil || !res.Changed {
					t.Fatalf("%s: %+v", op.Kind, res)
				}
			}
			for i := range 4 {
				id := strconv.Itoa(i)
				apply(poolkeeper.Op{Kind: poolkeeper.OpAddProvider, Key: key, ID: id, Data: []byte(`{"uuid":"` + id + `"}`)})
				apply(usage(id, "k"+id))
			}
			apply(poolkeeper.Op{Kind: poolkeeper.OpReplacePool, Key: poolkeeper.PoolKey("u")})
			apply(poolkeeper.Op{Kind: poolkeeper.OpPut, Key: token, Data: []byte(`{"a":1}`)})
			want, err := s.Image(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			view, err := s.View(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, op := range ops {
				apply(op)
			}
			if got := view.Image(); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			if now, err := s.Image(t.Context()); err != nil || reflect.DeepEqual(now, want) {
				t.Errorf("nothing has changed: %v", err)
			}
		})
	}
}

// TestImagesWhileOthersCount: each image has all that was counted before it and
// nothing of after it.
func TestImagesWhileOthersCount(t *testing.T) {
	const providers, callers, each = 2000, 4, 5000
	s, _ := opened(t)
	op := poolkeeper.Op{Kind: poolkeeper.OpReplacePool, Key: poolkeeper.PoolKey("t")}
	for i := range providers {
		id := strconv.Itoa(i)
		op.Providers = append(op.Providers, poolkeeper.ProviderRecord{ID: id, Definition: []byte(`{"uuid":"` + id + `"}`)})
	}
	if res := s.Commit(&op, s.millis(), "w", nil); res.Err != nil {
		t.Fatal(res.Err)
	}
	first := s.revisions.get(op.Key).Number
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				use := poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: op.Key, ID: strconv.Itoa(rand.IntN(providers)), N: 1}
				if res := s.Commit(&use, s.millis(), "w", nil); res.Err != nil {
					t.Error(res.Err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		image, err := s.Image(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p, sum := image.Pools["t"], int64(0)
		for i := range p.Providers {
			sum += p.Providers[i].Count(poolkeeper.UsageCount)
		}
		if want := int64(p.Revision.Number - first); sum != want {
			t.Fatalf("the image is of %d increments and has %d", want, sum)
		}
	}
}

// BenchmarkView takes a view of 100,000 providers with a token each, for as long
// as ops wait, and makes its image, while they do not.
func BenchmarkView(b *testing.B) {
	const providers = 100_000
	s := New(nil)
	snap := poolkeeper.NewSnapshot()
	pool := &poolkeeper.Pool{Type: "t"}
	for i := range providers {
		ref := poolkeeper.Ref{Type: "t", ID: strconv.Itoa(i)}
		pool.Providers = append(pool.Providers, poolkeeper.Provider{Ref: ref, Definition: []byte(`{"uuid":"` + ref.ID + `"}`)})
		snap.Values[poolkeeper.TokenKey(ref)] = poolkeeper.Document{Data: []byte(`{}`)}
	}
	snap.AddPool(pool)
	if err := s.Restore(b.Context(), snap); err != nil {
		b.Fatal(err)
	}
	var took time.Duration
	for b.Loop() {
		began := time.Now()
		v, err := s.View(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		took += time.Since(began)
		v.Image()
	}
	b.ReportMetric(float64(took.Microseconds())/float64(b.N), "µs/view")
}
