package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// TestOneByteInStore changes one byte of each value in Redis by plain
// commands: verify must find it, and name the thing.
func TestOneByteInStore(t *testing.T) {
	t.Parallel()
	seed := testSeed(t)
	for _, c := range []struct {
		start  func(*testing.T) *target
		source *source
	}{
		{standalone, fixtureSource(t, "edge", 40, 22)},
		{cluster, fixtureSource(t, "typical", 14, 10)},
	} {
		r := c.start(t)
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			s := &storeChanger{T: t, r: r, env: r.env(t, "p:", c.source.configs()), m: maker{rand.New(rand.NewPCG(seed, 7)), false}}
			expect(t, s.env, 0, "", "import")
			for _, key := range slices.Sorted(maps.Keys(r.under("p:"))) {
				s.change(key)
			}
			want := []string{"config", "pools", "tokens", "token-refs", "sessions", "files", "pwd", "doc", "plugins", "usage", "counter"}
			for _, kind := range want {
				if s.done[kind] == 0 {
					t.Errorf("nothing of %s was changed: %v", kind, s.done)
				}
			}
			expect(t, s.env, 0, "", "verify")
		})
	}
}

// A storeChanger changes what is in Redis, one thing at a time.
type storeChanger struct {
	*testing.T
	r    *target
	env  map[string]string
	m    maker
	done map[string]int
}

// change changes what a Redis key holds, and puts it back.
func (s *storeChanger) change(key string) {
	kind, rest, _ := strings.Cut(strings.TrimPrefix(key, "p:"), ":")
	name, err := url.PathUnescape(rest)
	if err != nil {
		s.Fatal(err)
	}
	switch kind {
	case "config":
		doc := s.get(key)
		s.set(key, string(flip(doc, s.m.leaf(s.T, doc))), kind, "config")
	case "pwd":
		s.set(key, string(flipAny(s.m, s.get(key))), kind, "password")
	case "plugins", "usage":
		s.set(key, string(flipAny(s.m, s.get(key))), kind, map[string]string{"plugins": "plugins.json", "usage": "usage-cache.json"}[kind])
	case "doc":
		next := string(flipAny(s.m, s.get(key)))
		if name == "token-store.json" {
			// The entries of live sessions are those of the sessions.
			next = strings.Replace(string(s.get(key)), `"tokens"`, `"tokenz"`, 1)
		}
		s.set(key, next, kind, name)
	case "sessions":
		s.session(key, name)
	case "tokens":
		_, id, _ := strings.Cut(name, ":")
		s.set(key, string(flipAny(s.m, s.get(key))), kind, id)
	case "files", "token-refs":
		for field, value := range s.hash(key) {
			next := string(flipAny(s.m, []byte(value)))
			if kind == "token-refs" {
				next = string(flip([]byte(value), s.m.leaf(s.T, []byte(value))))
			}
			s.setField(key, field, next, kind, field)
		}
	case "pools":
		for id, def := range s.hash(key) {
			s.setField(key, id, string(s.m.changedDefinition(s.T, []byte(def))), kind, id)
			s.counter("p:state:{"+key+"}", id, []byte(def))
		}
	}
}

// session changes a session, but for the expiry in its document, which says the
// same as what Redis goes by.
func (s *storeChanger) session(key, name string) {
	doc := s.get(key)
	all := slices.DeleteFunc(leaves(s.T, doc), func(l leaf) bool { return l.name() == "expiryTime" })
	s.set(key, string(flip(doc, pick(s.m, all...))), "sessions", name)
}

func (m maker) leaf(t *testing.T, doc []byte) leaf { return pick(m, leaves(t, doc)...) }

// changedDefinition changes a leaf that is no runtime state, which the store
// may have elsewhere. A definition without one gets one.
func (m maker) changedDefinition(t *testing.T, def []byte) []byte {
	all := slices.DeleteFunc(leaves(t, def), func(l leaf) bool {
		_, runtime := poolkeeper.FieldNamed(fmt.Sprint(l.path[0]))
		return runtime
	})
	if len(all) == 0 {
		return []byte(`{"x":1}`)
	}
	return flip(def, pick(m, all...))
}

// counter gives a provider a use more than its definition says.
func (s *storeChanger) counter(key, id string, def []byte) {
	var fields struct{ UsageCount *int64 }
	if json.Unmarshal(def, &fields) != nil || fields.UsageCount == nil {
		return
	}
	field := id + ":usageCount"
	s.r.must(s.T, key, "HSET", key, field, fmt.Sprint(*fields.UsageCount+1))
	s.found("counter", key+" "+field, id+" at /usageCount")
	s.r.must(s.T, key, "HDEL", key, field)
}

func (s *storeChanger) get(key string) []byte {
	s.Helper()
	v, _ := s.r.must(s.T, key, "GET", key).(string)
	return []byte(v)
}

func (s *storeChanger) hash(key string) map[string]string {
	s.Helper()
	list, _ := s.r.must(s.T, key, "HGETALL", key).([]any)
	fields := map[string]string{}
	for i := 0; i+1 < len(list); i += 2 {
		fields[list[i].(string)] = list[i+1].(string)
	}
	return fields
}

func (s *storeChanger) set(key, value, kind string, names ...string) {
	s.Helper()
	old := string(s.get(key))
	s.r.must(s.T, key, "SET", key, value, "KEEPTTL")
	s.found(kind, key, names...)
	s.r.must(s.T, key, "SET", key, old, "KEEPTTL")
}

func (s *storeChanger) setField(key, field, value, kind string, names ...string) {
	s.Helper()
	old := s.hash(key)[field]
	s.r.must(s.T, key, "HSET", key, field, value)
	s.found(kind, key+" "+field, names...)
	s.r.must(s.T, key, "HSET", key, field, old)
}

func (s *storeChanger) found(kind, what string, names ...string) {
	s.Helper()
	if s.done == nil {
		s.done = map[string]int{}
	}
	s.done[kind]++
	out := mustDiffer(s.T, s.env)
	if !slices.ContainsFunc(names, func(name string) bool { return mentions(out, name) }) {
		s.Errorf("%s: none of %q is named:\n%s", what, names, out)
	}
}
