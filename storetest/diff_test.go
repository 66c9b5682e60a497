package storetest

import (
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

func diffSample() *poolkeeper.Snapshot {
	snap := poolkeeper.NewSnapshot()
	snap.Meta["migratedFrom"] = "configs"
	snap.AddPool(poolOf("t", "a", `"usageCount":1`, "b", ""))
	snap.AddPool(poolOf("u"))
	snap.Values[poolkeeper.ConfigKey] = poolkeeper.Document{Data: []byte("{}")}
	snap.Aliases[ref("t", "old")] = "a"
	return snap
}

func TestDiffNamesEveryDifference(t *testing.T) {
	for want, change := range map[string]func(*poolkeeper.Snapshot){
		`meta "migratedFrom"`: func(s *poolkeeper.Snapshot) { s.Meta["migratedFrom"] = "x" },
		"types":               func(s *poolkeeper.Snapshot) { s.Types[0], s.Types[1] = s.Types[1], s.Types[0] },
		"aliases":             func(s *poolkeeper.Snapshot) { clear(s.Aliases) },
		`pool "u"`:            func(s *poolkeeper.Snapshot) { delete(s.Pools, "u") },
		`pool "t": the providers`: func(s *poolkeeper.Snapshot) {
			p := s.Pools["t"].Providers
			p[0], p[1] = p[1], p[0]
		},
		"definition of t a": func(s *poolkeeper.Snapshot) { s.Pools["t"].Providers[0].Definition = define("a", `"usageCount":1 `) },
		"usageCount of t a": func(s *poolkeeper.Snapshot) { s.Pools["t"].Providers[0].State.Set(poolkeeper.UsageCount, "2") },
		"decision on t b":   func(s *poolkeeper.Snapshot) { s.Pools["t"].Providers[1].State.DecidedAt = 1 },
		"ref t b":           func(s *poolkeeper.Snapshot) { s.Pools["t"].Providers[1].Type = "x" },
		"config: there, then not": func(s *poolkeeper.Snapshot) {
			delete(s.Values, poolkeeper.ConfigKey)
		},
		`config: "{}", then "{ }"`: func(s *poolkeeper.Snapshot) {
			s.Values[poolkeeper.ConfigKey] = poolkeeper.Document{Data: []byte("{ }")}
		},
		"config: expires": func(s *poolkeeper.Snapshot) {
			s.Values[poolkeeper.ConfigKey] = poolkeeper.Document{Data: []byte("{}"), ExpiresAt: 1}
		},
	} {
		changed := diffSample()
		change(changed)
		if got := Diff(diffSample(), changed); !strings.Contains(got, want) {
			t.Errorf("%q, want it to say %q", got, want)
		}
	}
}

func TestDiffOfTheSame(t *testing.T) {
	a, b := diffSample(), diffSample()
	a.Meta["epoch"], b.Meta["epoch"] = "1", "2"
	b.Pools["t"].Revision = poolkeeper.Revision{Number: 3, Writer: "w", Seq: 1}
	b.Pools["t"].Providers[0].State.Set(poolkeeper.UsageCount, "1") // what the definition says anyway
	b.Values[poolkeeper.ConfigKey] = poolkeeper.Document{Data: []byte("{}"), Revision: b.Pools["t"].Revision}
	if d := Diff(a, b); d != "" {
		t.Error(d)
	}
}
