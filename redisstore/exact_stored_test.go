package redisstore_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// checkStored reads all pools plainly.
func (r *exactRun) checkStored(histories map[string]*exactHistory) {
	for i, pool := range exactPools {
		defs := r.srv.HGetAll(pool.key)
		state := r.srv.HGetAll("exact:state:{" + pool.key + "}")
		order := r.srv.DoStrings("ZRANGE", "exact:order:{"+pool.key+"}", "0", "-1")
		if want := slices.Sorted(maps.Keys(defs)); !slices.Equal(slices.Sorted(slices.Values(order)), want) {
			r.Errorf("pool %q: the order names %d providers, not the %d that are there", pool.typ, len(order), len(want))
		}
		if i < 2 {
			r.checkDefinitions(pool.typ, pool.key, defs)
		} else {
			r.checkGeneration(defs)
		}
		delete(state, tableMark)
		for name := range state {
			if _, ok := defs[name[:strings.LastIndexByte(name, ':')]]; !ok && (i < 2 || r.Mode == exactPlain) {
				r.Errorf("pool %q: %q is state of a provider that is not there", pool.typ, name)
			}
		}
		for _, c := range exactCounters {
			if c.pool != i {
				continue
			}
			var ids []string
			for _, id := range c.ids {
				if _, ok := defs[id]; ok {
					ids = append(ids, id)
				}
			}
			if len(ids) != 1 {
				r.Errorf("%s is stored under %q", c.name, ids)
				continue
			}
			stored := c.base
			if text, ok := state[ids[0]+":usageCount"]; ok {
				var err error
				if stored, err = strconv.ParseInt(text, 10, 64); err != nil {
					r.Errorf("%s: the stored count is %q", c.name, text)
					continue
				}
			}
			if err := histories[c.name].check(c.base, stored); err != nil {
				r.Errorf("%s (%s): %v", c.name, strings.Join(c.ids, ", "), err)
			}
		}
	}
}

// checkDefinitions checks that of each definition only what was named has
// changed, and that nobody is there who should not be.
func (r *exactRun) checkDefinitions(typ, key string, defs map[string]string) {
	counters := map[string]*exactCounter{}
	for _, c := range exactCounters {
		counters[c.name] = c
	}
	for id, want := range exactCalmOnes {
		if got, err := r.srv.Do("HGET", key, id); err != nil || got != want {
			r.Errorf("pool %q: %s is %q, want %q (%v)", typ, id, got, want, err)
		}
	}
	for id, def := range defs {
		var d struct {
			Exact, UUID string
			Note        json.Number
		}
		switch _, calm := exactCalmOnes[id]; {
		case calm:
		case strings.HasPrefix(id, "guest-"):
			if r.Mode == exactPlain {
				r.Errorf("pool %q: %s is still there", typ, id)
			}
		case json.Unmarshal([]byte(def), &d) != nil || counters[d.Exact] == nil:
			r.Errorf("pool %q: nobody knows %s: %q", typ, id, def)
		default:
			c := counters[d.Exact]
			if want := c.definition(id, d.Note.String()); def != want || !slices.Contains(c.ids, id) || !c.patched && d.Note != "0" {
				r.Errorf("pool %q: %s is %q, want %q", typ, id, def, want)
			}
		}
	}
}

// checkGeneration checks that the replaced pool is one generation, to the byte.
func (r *exactRun) checkGeneration(defs map[string]string) {
	gen := exactGenOf([]byte(defs[exactBigID(0)]))
	want := map[string]string{}
	for i, def := range exactGeneration(gen) {
		id := exactBigID(i)
		if n := i - (exactBigSize - exactTail); n >= 0 {
			id = fmt.Sprintf("tail-%d-%d", gen%3, n)
		}
		want[id] = string(def)
	}
	if !maps.Equal(defs, want) {
		r.Errorf("the replaced pool is not generation %d: it has %d providers", gen, len(defs))
	}
}
