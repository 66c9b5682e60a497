package storetest

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// SeedVariable is the environment variable that repeats a run of [Model]: its
// value is the seed that the failed run logged.
const SeedVariable = "POOLKEEPER_TEST_SEED"

// Model applies random sequences of ops to the backend and to a
// [memstore.Store], and compares each result and, now and then and in the end,
// the whole state. Where the backend is shared, the ops go through several
// handles in turn.
func Model(t *testing.T, h Harness) {
	seed := rand.Uint64()
	if s := os.Getenv(SeedVariable); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("%s: %v", SeedVariable, err)
		}
	}
	t.Logf("to repeat this run: %s=%d", SeedVariable, seed)
	const batches = 900
	m := startModel(t, h, seed)
	for i := range batches {
		m.step()
		if i%100 == 99 {
			m.compareAll()
		}
	}
	m.compareAll()
	t.Logf("%d ops, of which %d were refused by both", m.ops, m.refused)
	if m.refused*2 > m.ops {
		t.Errorf("%d of %d ops were refused: the generator misses its aim", m.refused, m.ops)
	}
}

// A model is a backend and its oracle, under the same ops.
type model struct {
	*fixture
	gen     *generator
	oracle  *memstore.Store
	handles []poolkeeper.Backend
	// trace is what was done last, to be shown with a difference.
	trace        []string
	ops, refused int
}

func startModel(t *testing.T, h Harness, seed uint64) *model {
	t.Helper()
	f := start(t, h)
	m := &model{fixture: f, handles: f.handles(2), oracle: memstore.New(&memstore.Options{Now: f.clock.now})}
	t.Cleanup(func() { m.oracle.Close() })
	if err := m.oracle.Restore(f.ctx, poolkeeper.NewSnapshot()); err != nil {
		t.Fatal(err)
	}
	m.gen = &generator{Rand: rand.New(rand.NewPCG(seed, 0)), at: base, now: f.clock.now}
	return m
}

// step applies one batch to both, and compares what they answer.
func (m *model) step() {
	m.Helper()
	mine, err := m.oracle.Load(m.ctx)
	if err != nil {
		m.Fatal(err)
	}
	m.gen.state = mine
	ops, pool := m.gen.batch()
	theirs := ops
	b := m.handles[m.gen.IntN(len(m.handles))]
	if pool { // each has its own revisions
		typ := ops[0].Key.Type
		if p := mine.Pools[typ]; p != nil {
			theirs = append([]poolkeeper.Op(nil), ops...)
			ops[0].If = poolkeeper.If(p.Structure.String())
			theirs[0].If = poolkeeper.If(m.pool(typ).Structure.String())
		}
	}
	for i := range ops {
		line, err := poolkeeper.EncodeOp(&ops[i])
		if err != nil {
			m.Fatal(err)
		}
		m.trace = append(m.trace, excerptLine(string(line)))
	}
	m.trace = m.trace[max(0, len(m.trace)-40):]
	want, got := m.oracle.Apply(m.ctx, ops...), b.Apply(m.ctx, theirs...)
	if len(got) != len(want) {
		m.Fatalf("%d results for %d ops", len(got), len(want))
	}
	for i := range want {
		m.ops++
		if want[i].Err != nil {
			m.refused++
		}
		if d := differ(want[i], got[i]); d != "" {
			m.fail("op %d of the last %d, %s %s, if %q: %s", i+1, len(want), ops[i].Kind, ops[i].Subject(), ops[i].If, d)
		}
	}
	m.compareOne()
}

// differ says in what a result is not the one of the oracle.
func differ(want, got poolkeeper.Result) string {
	if want.Err != nil || got.Err != nil {
		if want.Err == nil || got.Err == nil || poolkeeper.ClassOf(want.Err) != poolkeeper.ClassOf(got.Err) {
			return "error " + say(got.Err) + ", want " + say(want.Err)
		}
		return ""
	}
	switch {
	case got.ID != want.ID:
		return "reached " + strconv.Quote(got.ID) + ", want " + strconv.Quote(want.ID)
	case got.Count != want.Count:
		return "count " + strconv.FormatInt(got.Count, 10) + ", want " + strconv.FormatInt(want.Count, 10)
	case got.Healthy != want.Healthy:
		return "healthy " + strconv.FormatBool(got.Healthy) + ", want " + strconv.FormatBool(want.Healthy)
	case got.Changed != want.Changed:
		return "changed " + strconv.FormatBool(got.Changed) + ", want " + strconv.FormatBool(want.Changed)
	}
	return ""
}

func say(err error) string {
	if err == nil {
		return "none"
	}
	return err.Error()
}

// compareOne compares one provider, perhaps under an old id, on any handle.
func (m *model) compareOne() {
	m.Helper()
	key := poolkeeper.ProviderKey(m.gen.ref())
	want, err := m.oracle.Load(m.ctx, key)
	if err != nil {
		m.Fatal(err)
	}
	got, err := m.handles[m.gen.IntN(len(m.handles))].Load(m.ctx, key)
	if err != nil {
		m.fail("Load of %s: %v", key, err)
	}
	want.Types, got.Types = nil, nil
	if d := Diff(want, got); d != "" {
		m.fail("%s differs from the oracle's:\n%s", key, d)
	}
}

func (m *model) compareAll() {
	m.Helper()
	want, err := m.oracle.Load(m.ctx)
	if err != nil {
		m.Fatal(err)
	}
	for i, b := range m.handles {
		got, err := b.Load(m.ctx)
		if err != nil {
			m.fail("Load: %v", err)
		}
		if d := Diff(want, got); d != "" {
			m.fail("the state differs from the oracle's, on handle %d:\n%s", i, d)
		}
	}
}

func (m *model) fail(format string, args ...any) {
	m.Helper()
	m.Logf("the last ops:\n%s", strings.Join(m.trace, "\n"))
	m.Fatalf(format, args...)
}

func excerptLine(s string) string {
	const enough = 500
	if len(s) <= enough {
		return s
	}
	return s[:enough] + "…"
}
