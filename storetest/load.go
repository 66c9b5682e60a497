package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// fullSnapshot has something of every kind, with names that need care.
func fullSnapshot(f *fixture) *poolkeeper.Snapshot {
	snap := poolkeeper.NewSnapshot()
	snap.Meta["migratedFrom"] = "configs"
	snap.Meta["epoch"] = "foreign"
	snap.AddPool(poolOf("x", "a", `"usageCount":7,"list":[],"big":123456789012345678901234567890`, "b:1", `"n":1.0`))
	snap.AddPool(poolOf(""))
	snap.AddPool(poolOf("a{b}c", "~0123456789abcdef", `"uuid":null`, "a", `"é":"\ud800"`))
	s := &snap.Pools["a{b}c"].Providers[1].State
	s.Set(poolkeeper.UsageCount, "9007199254740993")
	s.Set(poolkeeper.LastErrorMessage, `"says \"no\""`)
	s.Set(poolkeeper.IsHealthy, "false")
	s.DecidedAt = base
	later := f.clock.now().Add(24 * time.Hour).UnixMilli()
	for key, data := range map[poolkeeper.Key]string{
		poolkeeper.ConfigKey:                       "\ufeff{\r\n \"A\" : 1.0 }\r\n",
		poolkeeper.PasswordKey:                     " päss wörd \n",
		poolkeeper.TokenKey(ref("x", "a")):         `{"accessToken":"FAKE-1"}`,
		poolkeeper.TokenKey(ref("a{b}c", "a")):     "\x00\xff not JSON",
		poolkeeper.TokenRefKey("configs/k/1.json"): string(poolkeeper.EncodeTokenOwner(ref("x", "a"))),
		poolkeeper.DocumentKey("plugins.json"):     `{"plugins":{}}`,
		poolkeeper.DocumentKey("名前:{x} %7B"):       "",
		poolkeeper.FileKey("configs/a b/ü*?.p12"):  "\x00\x01\x02",
		poolkeeper.FileKey("kiro_creds1.json"):     "{}",
	} {
		snap.Values[key] = poolkeeper.Document{Data: []byte(data)}
	}
	snap.Values[poolkeeper.SessionKey(poolkeeper.SessionName("one"))] = poolkeeper.Document{
		Data: poolkeeper.EncodeSession("one", []byte(`{"username":"admin"}`)), ExpiresAt: later}
	snap.Values[poolkeeper.SessionKey(poolkeeper.SessionName("two"))] = poolkeeper.Document{
		Data: poolkeeper.EncodeSession("two", []byte(`{}`))}
	return snap
}

// poolOf makes a pool of pairs of id and members.
func poolOf(typ string, pairs ...string) *poolkeeper.Pool {
	p := &poolkeeper.Pool{Type: typ}
	for i := 0; i < len(pairs); i += 2 {
		p.Providers = append(p.Providers, poolkeeper.Provider{Ref: ref(typ, pairs[i]), Definition: define(pairs[i], pairs[i+1])})
	}
	return p
}

var loadCases = []testCase{
	{"each key reads what it names and nothing else", func(t *testing.T, h Harness) {
		f := open(t, h)
		all := fullSnapshot(f)
		if err := f.b.Restore(f.ctx, all); err != nil {
			t.Fatalf("Restore: %v", err)
		}
		for key := range all.Values {
			got := f.load(key)
			if len(got.Values) != 1 || len(got.Pools) != 0 || string(got.Values[key].Data) != string(all.Values[key].Data) {
				t.Errorf("Load of %s: %d values, %d pools, or another content", key, len(got.Values), len(got.Pools))
			}
		}
		for _, kind := range []poolkeeper.KeyKind{poolkeeper.KindToken, poolkeeper.KindTokenRefs, poolkeeper.KindDocument,
			poolkeeper.KindSession, poolkeeper.KindFile} {
			got := f.load(poolkeeper.Key{Kind: kind})
			want := poolkeeper.NewSnapshot()
			for _, key := range all.KeysOf(kind) {
				want.Values[key] = all.Values[key]
			}
			if d := Diff(want, got); d != "" {
				t.Errorf("Load of all of kind %s:\n%s", kind, d)
			}
		}
	}},
	{"pools and types are read alone and together", func(t *testing.T, h Harness) {
		f := open(t, h)
		all := fullSnapshot(f)
		if err := f.b.Restore(f.ctx, all); err != nil {
			t.Fatalf("Restore: %v", err)
		}
		if got := f.load(poolkeeper.TypesKey); !slices.Equal(got.Types, all.Types) || len(got.Values) != 0 {
			t.Errorf("types %q, want %q", got.Types, all.Types)
		}
		pools := &poolkeeper.Snapshot{Types: all.Types, Pools: all.Pools}
		if d := Diff(pools, f.load(poolkeeper.PoolsKey)); d != "" {
			t.Errorf("Load of the pools:\n%s", d)
		}
		for typ, want := range all.Pools {
			got := f.load(poolkeeper.PoolKey(typ))
			got.Types = nil
			if d := Diff(&poolkeeper.Snapshot{Pools: map[string]*poolkeeper.Pool{typ: want}}, got); d != "" {
				t.Errorf("Load of pool %q:\n%s", typ, d)
			}
			for i := range want.Providers {
				r := want.Providers[i].Ref
				got := f.load(poolkeeper.ProviderKey(r))
				got.Types = nil
				one := &poolkeeper.Pool{Type: typ, Providers: want.Providers[i : i+1]}
				if d := Diff(&poolkeeper.Snapshot{Pools: map[string]*poolkeeper.Pool{typ: one}}, got); d != "" {
					t.Errorf("Load of provider %s:\n%s", r, d)
				}
			}
		}
	}},
	{"several keys are read in one call", func(t *testing.T, h Harness) {
		f := open(t, h)
		if err := f.b.Restore(f.ctx, fullSnapshot(f)); err != nil {
			t.Fatalf("Restore: %v", err)
		}
		got := f.load(poolkeeper.ConfigKey, poolkeeper.ProviderKey(ref("x", "a")), poolkeeper.PoolKey(""),
			poolkeeper.TokenKey(ref("x", "a")), poolkeeper.MetaKey, poolkeeper.DocumentKey("not there"))
		if len(got.Values) != 2 || len(got.Pools) != 2 || got.Provider(ref("x", "a")) == nil || got.Meta["epoch"] == "" {
			t.Errorf("%d values, %d pools, meta %v", len(got.Values), len(got.Pools), got.Meta)
		}
	}},
	{"what is not there is left out", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(add(ref("t", "a"), ""))
		for _, key := range []poolkeeper.Key{poolkeeper.ConfigKey, poolkeeper.PasswordKey, poolkeeper.PoolKey("u"),
			poolkeeper.PoolKey(""), poolkeeper.ProviderKey(ref("u", "a")), poolkeeper.ProviderKey(ref("t", "A")),
			poolkeeper.TokenKey(ref("t", "a")), poolkeeper.DocumentKey("x"), poolkeeper.FileKey("x"), poolkeeper.TokenRefKey("x"),
			poolkeeper.SessionKey(poolkeeper.SessionName("x")), {Kind: poolkeeper.KindToken}, {Kind: poolkeeper.KindDocument},
			{Kind: poolkeeper.KindSession}, {Kind: poolkeeper.KindFile}, {Kind: poolkeeper.KindTokenRefs}} {
			if got := f.load(key); len(got.Values) != 0 || len(got.Aliases) != 0 || got.Provider(ref(key.Type, key.Name)) != nil ||
				key.Kind == poolkeeper.KindPool && len(got.Pools) != 0 {
				t.Errorf("Load of %s: %d values, %d pools", key, len(got.Values), len(got.Pools))
			}
		}
	}},
	{"a snapshot is the caller's own", func(t *testing.T, h Harness) {
		f := open(t, h)
		if err := f.b.Restore(f.ctx, fullSnapshot(f)); err != nil {
			t.Fatalf("Restore: %v", err)
		}
		before, mine := f.load(), f.load()
		mine.Types[0] = "changed"
		mine.Pools["x"].Providers[0].State.Set(poolkeeper.UsageCount, "99")
		mine.Pools["x"].Providers[1].ID = "changed"
		delete(mine.Pools, "a{b}c")
		clear(mine.Values)
		clear(mine.Meta)
		f.same(before, "after a snapshot was written to")
		f.do(usage(ref("x", "a"), 1))
		if n := before.Provider(ref("x", "a")).Count(poolkeeper.UsageCount); n != 7 {
			t.Errorf("usageCount %d in a snapshot read before the op, want 7", n)
		}
	}},
	{"revisions grow with changes and with nothing else", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		revision := func() poolkeeper.Revision { return f.pool("t").Revision }
		f.do(add(a, ""))
		last, structure := revision(), f.pool("t").Structure
		for _, op := range []poolkeeper.Op{usage(a, 1), on(poolkeeper.OpReset, a), merge(a, `{"n":1}`), put(a, `"n":2`), add(ref("t", "b"), ""),
			reorder("t", "b", "a"), rename(a, "c"), remove(ref("t", "c")), replace("t", record("z", ""))} {
			res := f.do(op)
			if now := revision(); !res.Changed || now.Number <= last.Number || now != res.Revision {
				t.Errorf("%s: changed %v, revision %s, answered %s, before %s", op.Kind, res.Changed, now, res.Revision, last)
			}
			if s := f.pool("t").Structure; (s == structure) != op.IsRuntime() {
				t.Errorf("%s: structure revision %s, before %s", op.Kind, s, structure)
			}
			last, structure = revision(), f.pool("t").Structure
		}
		for _, op := range []poolkeeper.Op{put(ref("t", "z"), ""), reorder("t", "z"), merge(ref("t", "z"), "{}"), replace("t", record("z", ""))} {
			if res := f.do(op); res.Changed || revision() != last || f.pool("t").Structure != structure {
				t.Errorf("%s of what is there already: changed %v, revision %s, before %s", op.Kind, res.Changed, revision(), last)
			}
		}
		f.refuse(usage(ref("t", "gone"), 1), poolkeeper.ErrNotFound)
		if revision() != last {
			t.Errorf("a refused op moved the revision to %s, before %s", revision(), last)
		}
	}},
	{"the text of a revision reads back", func(t *testing.T, h Harness) {
		f := start(t, h)
		r := f.do(add(ref("t", "a"), "")).Revision
		if back, err := poolkeeper.ParseRevision(r.String()); err != nil || back != r || r.IsZero() || r.Writer == "" {
			t.Errorf("%+v is written %q and read %+v, error %v", r, r.String(), back, err)
		}
	}},
}
