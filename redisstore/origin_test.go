package redisstore_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

// saved is what the server has, as it could come back.
func (r *rig) saved() []byte {
	r.Helper()
	r.srv.DoString("SAVE")
	data, err := os.ReadFile(filepath.Join(r.srv.Dir(), "dump.rdb"))
	if err != nil {
		r.Fatal(err)
	}
	return data
}

// goesTo starts the server again as it was once.
func (r *rig) goesTo(dump []byte) {
	r.Helper()
	r.srv.Kill()
	if err := os.WriteFile(filepath.Join(r.srv.Dir(), "dump.rdb"), dump, 0o600); err != nil {
		r.Fatal(err)
	}
	r.srv.Restart()
}

// noticed has a store find out that its connections are gone.
func (r *rig) noticed(b *redisstore.Store) {
	for range 3 {
		b.Info(r.Context())
	}
}

// A primary goes back and is given again what it lost; then a replica takes its place
// that has not followed it there. It has what was lost as it was first, or a part of
// that, and nothing of what was applied again: each op counts once.
func TestPrimaryThatWasNeverBack(t *testing.T) {
	for _, had := range []int{0, 7, 20} {
		t.Run(strconv.Itoa(had), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			b := r.open(r.srv.SocketURL(), tenacious)
			oldest := r.saved()
			var replica []byte
			for i := range 21 {
				if i == had {
					replica = r.saved()
				}
				r.must(b, useOp("b", 1))
				if i%5 == 0 {
					r.must(b, keyedOp(fmt.Sprint("k", i), "a", 1))
				}
			}
			r.goesTo(oldest)
			r.noticed(b)
			r.counted("b", "21")
			r.goesTo(replica)
			r.noticed(b)
			r.counted("b", "21")
			r.must(b, useOp("b", 1))
			r.counted("a", "10")
			r.counted("b", "22")
			r.goesTo(oldest)
			r.counted("b", "22")
			r.counted("a", "10")
			r.nothingLost(b)
		})
	}
}

// An op has no answer, another server has lost what comes before it, and it is applied
// there. Then the first one is back, which had executed it: it counts once.
func TestExecutedByTheServerBefore(t *testing.T) {
	for name, op := range map[string]poolkeeper.Op{"usage": useOp("b", 1), "success": {Kind: poolkeeper.OpSuccess, Key: kiro, ID: "b", N: 1, At: rigAt}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			oldest := r.saved()
			proxy, b := r.proxied(tenacious)
			for range 5 {
				r.must(b, op)
			}
			proxy.StopAfter(0, true)
			var wg sync.WaitGroup
			wg.Go(func() { r.must(b, op) })
			r.counted("b", "6")
			first := r.saved()
			r.goesTo(oldest)
			proxy.Clear()
			wg.Wait()
			r.counted("b", "6")
			for i, dump := range [][]byte{first, oldest, first} {
				r.goesTo(dump)
				r.noticed(b)
				r.must(b, useOp("b", 1))
				r.counted("b", strconv.Itoa(7+i))
			}
			r.nothingLost(b)
		})
	}
}

// Whatever servers follow each other, each with a state that one of them once had:
// what was acknowledged counts once.
func TestAnyStateComesBack(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	r := newRig(t)
	stores := []*redisstore.Store{r.open(r.srv.SocketURL(), tenacious), r.open(r.srv.SocketURL(), tenacious)}
	states := [][]byte{r.saved()}
	want := map[string]int64{"a": 5} // as its definition says
	for step := range 60 {
		switch k := rnd.IntN(10); {
		case k < 6:
			id := []string{"a", "b", "c"}[rnd.IntN(3)]
			op := useOp(id, 1+rnd.Int64N(9))
			switch rnd.IntN(4) {
			case 0:
				op.Kind = poolkeeper.OpSuccess
			case 1:
				op = keyedOp(fmt.Sprint("k", step), id, 3)
			}
			if res := stores[rnd.IntN(2)].Apply(t.Context(), op)[0]; res.Err != nil {
				t.Fatalf("step %d: %v", step, res.Err)
			}
			want[id] += op.N
		case k < 8:
			states = append(states, r.saved())
		default:
			at := rnd.IntN(len(states))
			t.Logf("step %d: state %d of %d", step, at, len(states))
			r.goesTo(states[at])
			if rnd.IntN(2) == 0 {
				time.Sleep(time.Duration(rnd.IntN(200)) * time.Millisecond)
			}
		}
	}
	for id, n := range want {
		eventually(t, fmt.Sprintf("%s is %d (it is %s)", id, n, r.usageOf(id)), func() bool { return r.usageOf(id) == strconv.FormatInt(n, 10) })
	}
}
