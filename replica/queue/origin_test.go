package queue_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/replica/queue"
)

// Whatever servers follow each other, each with a state that one of them once had, and
// at whatever moment of the repair: what was acknowledged counts once, whether it was
// applied or queued.
func TestAnyStateComesBack(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	r := forgetful(t)
	queues := []*queue.Queue{r.queue(r.srv.SocketURL(), t.TempDir(), nil), r.queue(r.srv.SocketURL(), t.TempDir(), nil)}
	var states [][]byte
	file := filepath.Join(r.srv.Dir(), "dump.rdb")
	save := func() {
		r.srv.DoString("SAVE")
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, data)
	}
	save()
	want := map[string]int64{}
	for step := range 80 {
		switch k := rnd.IntN(10); {
		case k < 6:
			id := []string{"a", "b", "c"}[rnd.IntN(3)]
			op := useOp(id, 1+rnd.Int64N(9))
			switch rnd.IntN(4) {
			case 0:
				op.Kind = poolkeeper.OpSuccess
			case 1:
				op.IdempotencyKey = fmt.Sprint("k", step)
			}
			if res := queues[rnd.IntN(2)].Apply(t.Context(), op)[0]; res.Err != nil {
				t.Fatalf("step %d: %v", step, res.Err)
			}
			want[id] += op.N
		case k < 8:
			save()
		default:
			at := rnd.IntN(len(states))
			t.Logf("step %d: state %d of %d", step, at, len(states))
			r.srv.Kill()
			if err := os.WriteFile(file, states[at], 0o600); err != nil {
				t.Fatal(err)
			}
			r.srv.Restart()
			if rnd.IntN(2) == 0 {
				time.Sleep(time.Duration(rnd.IntN(200)) * time.Millisecond)
			}
		}
	}
	for id, n := range want {
		r.eventually(fmt.Sprintf("%s is %d (it is %s)", id, n, r.state(id, "usageCount")), func() bool { return r.state(id, "usageCount") == fmt.Sprint(n) })
	}
	for _, q := range queues {
		r.empty(q)
		if s := q.Backlog().State(); s.Aside > 0 || s.Lost > 0 {
			t.Errorf("the backlog has %+v", s)
		}
	}
}
