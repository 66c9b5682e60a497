package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
	"github.com/poolkeeper/poolkeeper/internal/settings"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/open"
)

// A fileSide opens a store on a directory, without an import into Redis.
type fileSide struct {
	name string
	open func(t *testing.T, env map[string]string, configs string) *poolkeeper.Store
	// flags make the commands read the directory in this way.
	flags []string
	// live says that the directory becomes that of a store: a copy is used.
	live bool
}

// fileSides are all ways in which a directory is served by itself.
var fileSides = []fileSide{
	{"memory", inMemory, []string{"--backend", "memory"}, false},
	{"files", onFiles, []string{"--backend", "file"}, true},
}

func inMemory(t *testing.T, _ map[string]string, configs string) *poolkeeper.Store {
	t.Helper()
	snap, _, err := configdir.ReadDir(t.Context(), configs, nil)
	if err != nil {
		t.Fatal(err)
	}
	st := poolkeeper.New(memstore.New(nil), nil)
	if err := st.Restore(t.Context(), snap); err != nil {
		t.Fatal(err)
	}
	return st
}

// onFiles opens a directory for the second time: what it has comes out of the
// checkpoint of the first.
func onFiles(t *testing.T, env map[string]string, _ string) *poolkeeper.Store {
	t.Helper()
	set := settingsOf(t, env)
	set.Backend = settings.BackendFile
	for first := true; ; first = false {
		st, err := open.Store(t.Context(), set, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !open.Begun(set) {
			t.Fatal("there is no checkpoint")
		}
		if !first {
			return st
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func settingsOf(t *testing.T, env map[string]string) *settings.Settings {
	t.Helper()
	set, err := settings.Resolve(settings.Input{Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok }})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// readsEqual is rule 4: every read has the same answer from the directory, in
// each way, and from Redis after the import.
func readsEqual(t *testing.T, env map[string]string, s *source) {
	t.Helper()
	redis, err := open.Store(t.Context(), settingsOf(t, env), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer redis.Close()
	snap, _, err := configdir.ReadDir(t.Context(), s.configs(), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := reads(t.Context(), redis, snap)
	commands := [][]string{{"config", "get"}, {"doc", "list", "--json"}, {"provider", "list"}, {"provider", "list", "--json", "--reveal"}}
	for _, typ := range snap.Types {
		for _, p := range snap.Pools[typ].Providers[:min(2, len(snap.Pools[typ].Providers))] {
			commands = append(commands, []string{"token", "get", "--reveal", "--", p.Type, p.ID}, []string{"provider", "get", "--reveal", "--", p.Type, p.ID})
		}
	}
	for _, side := range fileSides {
		inFiles, configs := maps.Clone(env), s.configs()
		delete(inFiles, "REDIS_URL")
		if side.live {
			configs = dirtest.CopyTree(t, s.root)
			inFiles["POOLKEEPER_CONFIG_DIR"] = configs
		}
		st := side.open(t, inFiles, configs)
		want := reads(t.Context(), st, snap)
		if err := st.Close(); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("reads (-%s +redis):\n%s", side.name, diff)
		}
		if n := 10 + 3*s.providers; len(want) < n {
			t.Errorf("only %d reads, want at least %d", len(want), n)
		}
		// The commands print the same, too.
		for _, args := range commands {
			code1, out1, _ := call(t.Context(), inFiles, "", append(slices.Clone(side.flags), args...)...)
			code2, out2, _ := call(t.Context(), env, "", args...)
			if code1 != code2 || out1 != out2 {
				t.Errorf("%q: from %s %d, from Redis %d:\n%s", args, side.name, code1, code2, cmp.Diff(out1, out2))
			}
		}
	}
}

// reads makes every read that a store has, of everything that a snapshot has
// and of something that it has not, and writes the answers down. Revisions are
// a store's own.
func reads(ctx context.Context, st *poolkeeper.Store, snap *poolkeeper.Snapshot) map[string]string {
	answers := map[string]string{}
	say := func(what string, err error, answer string) {
		if err != nil {
			answer = "refused: " + poolkeeper.ClassOf(err).Code
		}
		answers[what] = answer
	}
	put := func(what string, d poolkeeper.Document, err error) {
		say(what, err, fmt.Sprintf("%q %s %d", d.Data, d.ETag(), d.ExpiresAt))
	}
	d, err := st.Config(ctx)
	put("config", d, err)
	docs, err := st.Documents(ctx)
	for _, name := range slices.Sorted(maps.Keys(docs)) {
		put("documents "+name, docs[name], err)
	}
	for k := range snap.Values {
		switch k.Kind {
		case poolkeeper.KindDocument:
			d, err := st.Document(ctx, k.Name)
			put(k.String(), d, err)
		case poolkeeper.KindFile:
			d, err := st.File(ctx, k.Name)
			put(k.String(), d, err)
		case poolkeeper.KindSession:
			bearer, _, err := poolkeeper.DecodeSession(snap.Values[k].Data)
			if err != nil {
				say("bearer of "+k.Name, err, "")
				continue
			}
			s, err := st.Session(ctx, bearer)
			say("session "+bearer, err, fmt.Sprintf("%+v", s))
		case poolkeeper.KindPassword:
			ok, err := st.VerifyPassword(ctx, strings.TrimSpace(string(snap.Values[k].Data)))
			say("password", err, fmt.Sprint(ok))
		}
	}
	types, err := st.Types(ctx)
	say("types", err, fmt.Sprintf("%q", types))
	pools, err := st.Pools(ctx)
	say("pools", err, fmt.Sprint(len(pools)))
	for _, p := range pools {
		say("pools "+p.Type, nil, providers(p))
	}
	for _, typ := range snap.Types {
		p, err := st.Pool(ctx, typ)
		answer := ""
		if err == nil {
			answer = providers(p)
		}
		say("pool "+typ, err, answer)
		for i := range snap.Pools[typ].Providers {
			readProvider(ctx, st, snap.Pools[typ].Providers[i].Ref, say)
		}
	}
	readAll(ctx, st, say)
	return answers
}

func readProvider(ctx context.Context, st *poolkeeper.Store, ref poolkeeper.Ref, say func(string, error, string)) {
	p, err := st.Provider(ctx, ref)
	answer := ""
	if err == nil {
		answer = providers(&poolkeeper.Pool{Providers: []poolkeeper.Provider{*p}})
	}
	say("provider "+ref.String(), err, answer)
	tok, err := st.Token(ctx, ref)
	say("token "+ref.String(), err, fmt.Sprintf("%q %s", tok.Data, tok.Owner))
}

// readAll reads everything at once, and what nothing has.
func readAll(ctx context.Context, st *poolkeeper.Store, say func(string, error, string)) {
	all, err := st.Snapshot(ctx)
	if err == nil {
		say("snapshot types", nil, fmt.Sprintf("%q", all.Types))
		for typ, p := range all.Pools {
			say("snapshot pool "+typ, nil, providers(p))
		}
		for k, d := range all.Values {
			say("snapshot "+k.String(), nil, fmt.Sprintf("%q %d", d.Data, d.ExpiresAt))
		}
	}
	say("snapshot", err, "")
	none := poolkeeper.Ref{Type: "no such type", ID: "no such id"}
	readProvider(ctx, st, none, say)
	_, err = st.Pool(ctx, none.Type)
	say("no pool", err, "there")
	_, err = st.Document(ctx, "no such document")
	say("no document", err, "there")
	_, err = st.File(ctx, "configs/no such file")
	say("no file", err, "there")
	_, err = st.Session(ctx, "no such bearer")
	say("no session", err, "there")
	ok, err := st.VerifyPassword(ctx, "no such password")
	say("wrong password", err, fmt.Sprint(ok))
}

// providers writes down the providers of a pool as readers see them.
func providers(p *poolkeeper.Pool) string {
	var b strings.Builder
	for i := range p.Providers {
		one := &p.Providers[i]
		doc, err := one.JSON()
		fmt.Fprintf(&b, "%s %s %v %v %q %q %v\n", one.Ref, one.ETag(), one.Healthy(), one.Disabled(), one.Definition, doc, err)
		for _, f := range poolkeeper.Fields() {
			fmt.Fprintf(&b, "%s=%s/%d ", f, one.Literal(f), one.Count(f))
		}
	}
	return b.String()
}
