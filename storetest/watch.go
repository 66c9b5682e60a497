package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

var watchCases = []testCase{
	{"a copy that is kept by what is told is the store", func(t *testing.T, h Harness) {
		f := start(t, h)
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		hs := f.handles(2)
		followers := []*follower{follow(t, hs[0]), follow(t, hs[len(hs)-1])}
		f.together(4, func(i int, b poolkeeper.Backend) {
			gen := &generator{Rand: rand.New(rand.NewPCG(seed, uint64(i))), at: base, now: f.clock.now}
			for n := range 60 {
				if n%10 == 0 {
					snap, err := b.Load(f.ctx)
					if err != nil {
						t.Errorf("Load: %v", err)
						return
					}
					gen.state = snap
				}
				ops, _ := gen.batch()
				b.Apply(f.ctx, ops...) // many are refused
			}
		})
		for i, w := range followers {
			w.same(fmt.Sprintf("after random ops, watch %d", i))
			w.continuous()
		}
	}},
	{"every op is told, on every type and id", func(t *testing.T, h Harness) {
		f := start(t, h)
		w := follow(t, f.b)
		for i, typ := range oddTypes {
			for j, id := range oddIDs {
				if (i+j)%3 != 0 {
					continue
				}
				f.do(add(ref(typ, id), `"usageCount":1`))
				everyOp(f, ref(typ, id), fmt.Sprintf("renamed:{%d}", j))
				f.do(add(ref(typ, id), `"errorCount":2,"isHealthy":false`), on(poolkeeper.OpError, ref(typ, id)))
			}
			w.same(fmt.Sprintf("after ops on type %q", typ))
		}
		w.continuous()
	}},
	{"a new state of a provider is told whole", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		f.do(add(a, `"usageCount":5`), usage(a, 1), on(poolkeeper.OpError, a))
		w := follow(t, f.b)
		fresh := put(a, `"usageCount":7`)
		fresh.State = new(poolkeeper.State)
		f.do(fresh)
		w.same("after a put with a state")
		fresh.Data = define("a", `"usageCount":8`)
		fresh.State.Set(poolkeeper.ErrorCount, "3")
		f.do(fresh, put(a, `"usageCount":9`), remove(a), add(a, ""))
		w.same("after a put with a state, one without, and a new provider")
		w.continuous()
	}},
	{"what was acknowledged before a watch is ready can be loaded, all else is told", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		f.do(add(a, ""))
		var done atomic.Bool
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for !done.Load() {
					if res := f.b.Apply(f.ctx, usage(a, 1))[0]; res.Err != nil {
						t.Errorf("usage: %v", res.Err)
						return
					}
				}
			})
		}
		hs := f.handles(2)
		var followers []*follower
		for i := range 6 {
			followers = append(followers, follow(t, hs[i%len(hs)]))
		}
		done.Store(true)
		wg.Wait()
		for _, w := range followers {
			w.same("after increments")
			w.continuous()
		}
	}},
	{"what changes nothing is not told", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		f.do(add(a, `"x":1`), putValue(poolkeeper.ConfigKey, `{"a":1}`))
		w := follow(t, f.b)
		f.do(put(a, `"x":1`), reorder("t", "a"), merge(a, `{"x":1}`), putValue(poolkeeper.ConfigKey, `{"a":1}`))
		f.refuse(usage(ref("t", "b"), 1), poolkeeper.ErrNotFound)
		f.do(usage(a, 1), putValue(poolkeeper.ConfigKey, `{"a":2}`))
		w.same("after ops")
		if got := w.changes(poolkeeper.PoolKey("t")); len(got) != 1 || got[0].Kind != poolkeeper.ChangeState {
			t.Errorf("of the pool was told %+v, want one change of state", got)
		}
		if got := w.changes(poolkeeper.ConfigKey); len(got) != 1 || got[0].Kind != poolkeeper.ChangeValue {
			t.Errorf("of the configuration was told %+v, want one change", got)
		}
	}},
	{"what changed nothing is not told with the next op", func(t *testing.T, h Harness) {
		f := start(t, h)
		a, pool := ref("t", "a"), poolkeeper.PoolKey("t")
		f.do(add(a, `"x":1`), add(ref("t", "b"), ""))
		w := follow(t, f.b)
		f.do(put(a, `"x":1`), reorder("t", "b", "a"))
		w.same("after ops")
		if got := w.changes(pool); len(got) != 1 || got[0].Kind != poolkeeper.ChangePool || got[0].ID != "" || got[0].Definition != nil {
			t.Errorf("told of %+v, want the pool as a whole", got)
		}
	}},
	{"a change says what an op has made", func(t *testing.T, h Harness) {
		f := start(t, h)
		a, pool := ref("t", "a"), poolkeeper.PoolKey("t")
		f.do(add(ref("t", "z"), ""))
		w := follow(t, f.b)
		f.do(add(a, ` "n" : 1.0 `), usage(a, 2), put(a, `"n":2`), rename(a, "b"), remove(ref("t", "b")))
		w.same("after ops")
		var got []string
		for _, c := range w.changes(pool) {
			if c.Before.IsZero() || c.Before == c.After {
				t.Errorf("a change without revisions: %+v", c)
			}
			got = append(got, fmt.Sprintf("%s %s %s %s", c.Kind, c.ID, c.NewID, c.Definition))
		}
		want := []string{"put a  " + string(define("a", ` "n" : 1.0 `)), "state   ", "put a  " + string(define("a", `"n":2`)),
			"rename a b " + string(define("b", `"n":2`)), "delete b  "}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("told:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}},
	{"nothing of a value is told but its name", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(add(ref("t", "a"), ""))
		w := follow(t, f.b)
		const secret = "s3cret-value"
		session := putValue(poolkeeper.SessionKey(poolkeeper.SessionName("bearer")), string(poolkeeper.EncodeSession(secret, []byte("{}"))))
		session.ExpiresAt = base * 2
		ops := []poolkeeper.Op{
			putValue(poolkeeper.TokenKey(ref("t", "a")), `{"refreshToken":"s3cret-value"}`), putValue(poolkeeper.PasswordKey, secret), session,
			putValue(poolkeeper.ConfigKey, `{"REQUIRED_API_KEY":"s3cret-value"}`), putValue(poolkeeper.DocumentKey("d.json"), `{"x":"s3cret-value"}`),
			putValue(poolkeeper.FileKey("configs/f"), secret), mergeValue(poolkeeper.ConfigKey, `{"o":"s3cret-value"}`),
		}
		f.do(ops...)
		w.same("after values")
		for _, op := range ops {
			got := w.changes(op.Key)
			if len(got) == 0 {
				t.Errorf("nothing was told of %s", op.Key)
			}
			for _, c := range got {
				if c.Kind != poolkeeper.ChangeValue || c.Definition != nil || c.States != nil {
					t.Errorf("of %s was told %+v", op.Key, c)
				}
				if strings.Contains(fmt.Sprintf("%+v", c), secret) {
					t.Errorf("a secret was told: %+v", c)
				}
			}
		}
	}},
	{"a slow watch holds up neither ops nor other watches", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		f.do(add(a, ""))
		begun, release := make(chan struct{}), make(chan struct{})
		var once sync.Once
		slow := watchWith(t, f.b, func(poolkeeper.Change) {
			once.Do(func() { close(begun) })
			<-release
		})
		slow.wait()
		<-begun
		quick := follow(t, f.b)
		for range 50 {
			f.do(usage(a, 1), putValue(poolkeeper.ConfigKey, `{}`), putValue(poolkeeper.ConfigKey, `{"a":1}`))
		}
		quick.same("beside a slow watch")
		close(release)
		slow.same("after it went on")
		slow.continuous()
	}},
	{"a watch ends with its context", func(t *testing.T, h Harness) {
		f := start(t, h)
		w := follow(t, f.b)
		w.stop()
		if err := w.end(); !errors.Is(err, context.Canceled) {
			t.Errorf("Watch returned %v, want %v", err, context.Canceled)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := f.b.(poolkeeper.Watcher).Watch(ctx, func(poolkeeper.Change) { t.Error("it began") }); !errors.Is(err, context.Canceled) {
			t.Errorf("Watch with an ended context returned %v", err)
		}
		f.do(putValue(poolkeeper.ConfigKey, `{}`))
	}},
	{"Close ends the watches", func(t *testing.T, h Harness) {
		f := start(t, h)
		w := follow(t, f.b)
		if err := f.b.Close(); err != nil {
			t.Fatal(err)
		}
		if err := w.end(); !errors.Is(err, poolkeeper.ErrClosed) {
			t.Errorf("Watch returned %v, want %v", err, poolkeeper.ErrClosed)
		}
		if err := f.b.(poolkeeper.Watcher).Watch(t.Context(), func(poolkeeper.Change) { t.Error("it began") }); !errors.Is(err, poolkeeper.ErrClosed) {
			t.Errorf("Watch of a closed store returned %v, want %v", err, poolkeeper.ErrClosed)
		}
	}},
	{"an uninitialised store cannot be watched", func(t *testing.T, h Harness) {
		f := open(t, h)
		err := f.b.(poolkeeper.Watcher).Watch(t.Context(), func(poolkeeper.Change) { t.Error("it began") })
		if !errors.Is(err, poolkeeper.ErrUninitialized) {
			t.Errorf("Watch returned %v, want %v", err, poolkeeper.ErrUninitialized)
		}
	}},
}
