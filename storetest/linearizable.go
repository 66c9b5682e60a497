package storetest

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/poolkeeper/poolkeeper"
)

// Linearizable lets a few clients work on the same keys at once, over several
// handles where the backend is shared, and checks for each key that what they
// were answered can be explained by one order of the ops, in which each takes
// effect between its call and its answer. An op whose outcome is unknown may
// have taken effect at any time after its call, or not at all.
func Linearizable(t *testing.T, h Harness) {
	seed := rand.Uint64()
	if s := os.Getenv(SeedVariable); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("the ops, though not their timing, repeat with %s=%d", SeedVariable, seed)
	for _, subject := range []struct {
		name  string
		model porcupine.Model
		next  func(r *rand.Rand, key, client int) request
	}{
		{"a pool", poolModel.ToModel(), nextOnPool},
		{"a document", documentModel.ToModel(), nextOnDocument},
	} {
		t.Run(subject.name, func(t *testing.T) {
			f := start(t, h)
			const keys, workers, each = 12, 5, 24
			met, calls := 0, 0
			for key := range keys {
				rec := &recorder{start: time.Now()}
				var arrived atomic.Int64
				f.together(workers, func(client int, b poolkeeper.Backend) {
					r := rand.New(rand.NewPCG(seed, uint64(key*workers+client)))
					for n := range each {
						// Now and then all call at one moment: a fast backend would
						// answer each client before the next one calls.
						if n%2 == 0 {
							arrived.Add(1)
							for arrived.Load() < int64(workers*(n/2+1)) {
								runtime.Gosched()
							}
						}
						rec.do(f.ctx, b, client, subject.next(r, key, client))
					}
				})
				met, calls = met+rec.overlapping(), calls+len(rec.history)
				switch result, _ := porcupine.CheckOperationsVerbose(subject.model, rec.history, 20*time.Second); result {
				case porcupine.Illegal:
					t.Errorf("key %d: no order of the ops explains the answers:\n%s", key, rec.describe(subject.model))
				case porcupine.Unknown:
					t.Errorf("key %d: the history could not be checked in time", key)
				}
				if err := rec.unexpected; err != nil {
					t.Errorf("key %d: %v", key, err)
				}
			}
			t.Logf("%d of %d calls were under way together with another", met, calls)
		})
	}
}

// A request is one call of a client: an op or a read, and how to read its
// answer for the model.
type request struct {
	input  any
	op     *poolkeeper.Op
	key    poolkeeper.Key // to be read, where there is no op
	answer func(poolkeeper.Result, *poolkeeper.Snapshot) any
}

// indeterminate is the output of an op whose outcome is unknown.
type indeterminate struct{}

// refused is the output of an op that was refused, by the code of its error.
type refused string

// A recorder keeps the history of one key.
type recorder struct {
	start time.Time

	mu         sync.Mutex
	history    []porcupine.Operation
	unexpected error
}

// do makes one call and records it. Calls that surely had no effect are left
// out.
func (rec *recorder) do(ctx context.Context, b poolkeeper.Backend, client int, req request) {
	op := porcupine.Operation{ClientId: client, Input: req.input, Call: int64(time.Since(rec.start))}
	var res poolkeeper.Result
	var snap *poolkeeper.Snapshot
	if req.op != nil {
		res = b.Apply(ctx, *req.op)[0]
	} else {
		snap, res.Err = b.Load(ctx, req.key)
	}
	op.Return = int64(time.Since(rec.start))

	rec.mu.Lock()
	defer rec.mu.Unlock()
	err := res.Err
	switch {
	case err == nil:
		op.Output = req.answer(res, snap)
	case errors.Is(err, poolkeeper.ErrNotFound), errors.Is(err, poolkeeper.ErrExists), errors.Is(err, poolkeeper.ErrConflict):
		op.Output = refused(poolkeeper.ClassOf(err).Code)
	case errors.Is(err, poolkeeper.ErrUnavailable), req.op == nil:
		return
	case errors.Is(err, poolkeeper.ErrIndeterminate):
		op.Output, op.Return = indeterminate{}, math.MaxInt64
	default:
		rec.unexpected = err
		return
	}
	rec.history = append(rec.history, op)
}

// overlapping counts the calls that were under way together with one of another
// client: without such a history shows nothing.
func (rec *recorder) overlapping() int {
	n := 0
	for i, a := range rec.history {
		for k, b := range rec.history {
			if i != k && a.Call <= b.Return && b.Call <= a.Return {
				n++
				break
			}
		}
	}
	return n
}

// describe lists the history in the order of the calls, for a person to read.
func (rec *recorder) describe(m porcupine.Model) string {
	s := ""
	for _, op := range rec.history {
		s += "client " + strconv.Itoa(op.ClientId) + " " + strconv.FormatInt(op.Call/1000, 10) + "–" + strconv.FormatInt(op.Return/1000, 10) +
			" µs " + m.DescribeOperation(op.Input, op.Output) + "\n"
	}
	return s
}

// stepper makes the step of a model of one that says what an op does to a
// state: an op whose outcome is unknown did it or did not.
func stepper[S comparable, I any](apply func(S, I) (S, any)) func(state, input, output any) []any {
	return func(state, input, output any) []any {
		next, want := apply(state.(S), input.(I))
		if output == (indeterminate{}) {
			return []any{state, next}
		}
		if want != output {
			return nil
		}
		return []any{next}
	}
}
