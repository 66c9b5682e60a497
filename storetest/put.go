package storetest

import (
	"strconv"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

var putCases = []testCase{
	{"put replaces the definition or adds the provider", func(t *testing.T, h Harness) {
		f := start(t, h)
		if res := f.do(put(ref("t", "a"), `"n":1`)); res.ID != "a" || !res.Changed {
			t.Errorf("put of a new provider: %+v", res)
		}
		f.do(put(ref("t", "b"), ""), put(ref("t", "a"), `"m":2`))
		f.wantIDs("t", "a", "b")
		if got, want := string(f.provider(ref("t", "a")).Definition), string(define("a", `"m":2`)); got != want {
			t.Errorf("definition %s, want %s", got, want)
		}
	}},
	{"put of what is there already changes nothing", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(put(ref("t", "a"), `"n":1`), usage(ref("t", "a"), 2))
		before := f.load()
		if res := f.do(put(ref("t", "a"), `"n":1`)); res.Changed || res.ID != "a" {
			t.Errorf("result %+v, want nothing changed", res)
		}
		f.same(before, "after the same put")
		if res := f.do(put(ref("t", "a"), `"n":1.0`)); !res.Changed {
			t.Errorf("put of another literal: %+v, want a change", res)
		}
	}},
	{"put keeps the effective runtime state, wherever it stands", func(t *testing.T, h Harness) {
		f := start(t, h)
		for i, c := range []struct{ name, old, next string }{
			{"neither definition has the field", ``, `"x":1`},
			{"only the old one has it", `"usageCount":7,"errorCount":null,"lastErrorMessage":"m","isHealthy":false`, `"x":1`},
			{"only the new one has it", ``, `"usageCount":9,"errorCount":4,"isHealthy":false,"lastUsed":"2020-01-01T00:00:00.000Z","needsRefresh":true`},
			{"both have it", `"usageCount":7,"isHealthy":false,"refreshCount":1.0`, `"usageCount":9,"isHealthy":true,"refreshCount":1`},
			{"both have the same", `"usageCount":7`, `"usageCount":7,"x":1`},
			{"odd literals", `"usageCount":"12","errorCount":[],"lastUsed":1769000000000,"isHealthy":1`, `"usageCount":0,"errorCount":0,"lastUsed":null,"isHealthy":0`},
			{"escapes", `"lastErrorMessage":"\u003c\ud800\"","lastHealthCheckModel":"ü"`, `"lastErrorMessage":null`},
		} {
			for _, touched := range []bool{false, true} {
				r := ref("t", strconv.Itoa(i)+"-"+strconv.FormatBool(touched))
				f.do(add(r, c.old))
				if touched { // now the state has it
					f.do(usage(r, 1), on(poolkeeper.OpError, r))
				}
				before := f.provider(r)
				f.do(put(r, c.next))
				after := f.provider(r)
				for _, field := range poolkeeper.Fields() {
					if v, w := before.Literal(field), after.Literal(field); v != w {
						t.Errorf("%s, touched %v: %s was %q, is %q", c.name, touched, field, v, w)
					}
				}
				if before.State.DecidedAt != after.State.DecidedAt {
					t.Errorf("%s, touched %v: the time of the last decision changed", c.name, touched)
				}
				if got, want := string(after.Definition), string(define(r.ID, c.next)); got != want {
					t.Errorf("%s: definition %s, want %s", c.name, got, want)
				}
				want := plusOne(before.Count(poolkeeper.UsageCount))
				if res := f.do(usage(r, 1)); res.Count != want {
					t.Errorf("%s, touched %v: counts on at %d, want %d", c.name, touched, res.Count, want)
				}
			}
		}
	}},
	{"put keeps the runtime state over many definitions", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		f.do(add(a, `"usageCount":100`))
		for i := range int64(10) {
			f.do(put(a, `"usageCount":`+strconv.FormatInt(i, 10)))
			if res := f.do(usage(a, 1)); res.Count != 101+i {
				t.Fatalf("count %d, want %d", res.Count, 101+i)
			}
		}
	}},
	{"put with a state lays that over the new definition", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		f.do(add(a, `"usageCount":7,"isHealthy":false`), usage(a, 1), on(poolkeeper.OpError, a))
		op := put(a, `"usageCount":20,"errorCount":3,"lastUsed":"x"`)
		op.State = new(poolkeeper.State)
		f.do(op)
		p := f.provider(a)
		if p.Literal(poolkeeper.UsageCount) != "20" || p.Literal(poolkeeper.ErrorCount) != "3" || p.Literal(poolkeeper.LastUsed) != `"x"` ||
			p.Literal(poolkeeper.IsHealthy) != "" || p.State.DecidedAt != 0 {
			t.Errorf("with the zero state: %+v; want what the definition says", p.State)
		}
		op = put(a, `"usageCount":20,"errorCount":3`)
		op.State = &poolkeeper.State{DecidedAt: base}
		op.State.Set(poolkeeper.UsageCount, "9007199254740993")
		op.State.Set(poolkeeper.ErrorCount, poolkeeper.Absent)
		op.State.Set(poolkeeper.IsHealthy, "null")
		f.do(op)
		p = f.provider(a)
		if p.Literal(poolkeeper.UsageCount) != "9007199254740993" || p.Literal(poolkeeper.ErrorCount) != "" ||
			p.Literal(poolkeeper.IsHealthy) != "null" || p.State.DecidedAt != base {
			t.Errorf("with a state: %+v", p.State)
		}
		if res := f.do(usage(a, 1)); res.Count != 9007199254740994 {
			t.Errorf("counts on at %d", res.Count)
		}
		again := op
		f.do(again)
		if res := f.do(again); res.Changed {
			t.Error("the same definition and state again changed something")
		}
	}},
	{"put with a state adds a provider with it", func(t *testing.T, h Harness) {
		f := start(t, h)
		op := put(ref("t", "a"), `"usageCount":1`)
		op.State = new(poolkeeper.State)
		op.State.Set(poolkeeper.UsageCount, "5")
		f.do(op)
		if res := f.do(usage(ref("t", "a"), 1)); res.Count != 6 {
			t.Errorf("counts on at %d, want 6", res.Count)
		}
	}},
}
