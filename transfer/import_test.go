package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/transfer"
)

func lines[T fmt.Stringer](list []T) []string {
	var out []string
	for _, x := range list {
		out = append(out, x.String())
	}
	return out
}

func snapshot(t *testing.T, st *poolkeeper.Store) *poolkeeper.Snapshot {
	t.Helper()
	snap, err := st.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestImportIntoEmptyStore(t *testing.T) {
	st := newStore(t)
	dry := mustImport(t, st, dirtest.Configs("typical"), &transfer.ImportOptions{DryRun: true})
	if _, err := st.Snapshot(context.Background()); !errors.Is(err, poolkeeper.ErrUninitialized) {
		t.Fatalf("a dry run wrote: %v", err)
	}
	var progress [][2]int
	res := mustImport(t, st, dirtest.Configs("typical"), &transfer.ImportOptions{Progress: func(done, total int) { progress = append(progress, [2]int{done, total}) }})
	if got, want := res.String(), "Migrated 14 providers, 10 tokens, config"; got != want || dry.String() != want {
		t.Errorf("%q, %q, want %q", got, dry.String(), want)
	}
	if !res.Restored || len(res.Added) != len(dry.Added) || len(res.Changed)+len(res.Kept)+res.Unchanged != 0 {
		t.Errorf("%+v", res)
	}
	if last := progress[len(progress)-1]; last[0] != last[1] || last[1] == 0 {
		t.Errorf("progress %v", progress)
	}
	meta := must(st.Meta(context.Background()))
	if _, err := time.Parse(time.RFC3339, meta["migratedAt"]); err != nil || meta["migratedFrom"] != "directory" {
		t.Errorf("meta %v", meta)
	}
}

const live = `{"a":[{"uuid":"1","x":1,"usageCount":5,"lastUsed":"2026-01-02T00:00:00.000Z","isHealthy":true},{"uuid":"2","usageCount":5}],"b":[]}`

func TestImportIntoLiveStore(t *testing.T) {
	ctx := context.Background()
	type step func(t *testing.T, st *poolkeeper.Store)
	one, two := poolkeeper.Ref{Type: "a", ID: "1"}, poolkeeper.Ref{Type: "a", ID: "2"}
	for name, c := range map[string]struct {
		before                step
		dir                   map[string]string
		force                 bool
		added, changed, kept  []string
		after                 func(t *testing.T, snap *poolkeeper.Snapshot)
		keepsWhatForceChanges bool
	}{
		"nothing":     {dir: map[string]string{"configs/provider_pools.json": live}},
		"white space": {dir: map[string]string{"configs/provider_pools.json": strings.ReplaceAll(live, ",", " ,\n")}},
		"counters go forward": {
			dir:     map[string]string{"configs/provider_pools.json": strings.Replace(strings.Replace(live, `"usageCount":5`, `"usageCount":3000000000007`, 1), "2026-01-02", "2026-01-03", 1)},
			changed: []string{"a 1: usageCount"},
			after: func(t *testing.T, snap *poolkeeper.Snapshot) {
				if p := snap.Provider(one); p.Count(poolkeeper.UsageCount) != 3_000_000_000_007 || p.Literal(poolkeeper.LastUsed) != `"2026-01-03T00:00:00.000Z"` {
					t.Errorf("usageCount %s, lastUsed %s", p.Literal(poolkeeper.UsageCount), p.Literal(poolkeeper.LastUsed))
				}
			},
		},
		"counters do not go back": {
			before: func(t *testing.T, st *poolkeeper.Store) {
				must(st.Usage(ctx, one, 10))
				must(st.Error(ctx, two, poolkeeper.Failure{Unhealthy: true}))
			},
			dir: map[string]string{"configs/provider_pools.json": live},
			kept: []string{
				"a 1: the stored runtime state stays: usageCount, lastUsed",
				"a 2: the stored runtime state stays: errorCount, refreshCount, lastUsed, lastErrorTime, isHealthy, needsRefresh",
			},
			after: func(t *testing.T, snap *poolkeeper.Snapshot) {
				if n := snap.Provider(one).Count(poolkeeper.UsageCount); n != 15 || snap.Provider(two).Healthy() {
					t.Errorf("usageCount %d, healthy %v", n, snap.Provider(two).Healthy())
				}
			},
		},
		"forced back": {
			before: func(t *testing.T, st *poolkeeper.Store) {
				must(st.Usage(ctx, one, 10))
				must(st.Error(ctx, two, poolkeeper.Failure{Unhealthy: true}))
			},
			dir: map[string]string{"configs/provider_pools.json": live}, force: true,
			changed: []string{
				"a 1: runtime state: usageCount, lastUsed",
				"a 2: runtime state: errorCount, refreshCount, lastUsed, lastErrorTime, isHealthy, needsRefresh",
			},
			after: func(t *testing.T, snap *poolkeeper.Snapshot) {
				if n := snap.Provider(one).Count(poolkeeper.UsageCount); n != 5 || !snap.Provider(two).Healthy() {
					t.Errorf("usageCount %d, healthy %v", n, snap.Provider(two).Healthy())
				}
			},
		},
		"definitions, order and new ones": {
			before: func(t *testing.T, st *poolkeeper.Store) {
				must(st.Usage(ctx, one, 10))
				must(st.AddProvider(ctx, "a", []byte(`{"uuid":"mine","m":1.0}`)))
				must(st.AddProvider(ctx, "mine", []byte(`{"uuid":"m"}`)))
			},
			dir:     map[string]string{"configs/provider_pools.json": `{"new":[{"uuid":"n"}],"b":[{"uuid":"b1"}],"a":[{"uuid":"2","usageCount":5},{"uuid":"3"},{"uuid":"1","x":2,"usageCount":5,"lastUsed":"2026-01-02T00:00:00.000Z","isHealthy":true}]}`},
			added:   []string{"pool new", "new n", "b b1", "a 3"},
			changed: []string{"types: order", "a 1: definition, at /x"},
			kept:    []string{"a 1: the stored runtime state stays: usageCount, lastUsed"},
			after: func(t *testing.T, snap *poolkeeper.Snapshot) {
				if want := []string{"new", "b", "a", "mine"}; !slices.Equal(snap.Types, want) {
					t.Errorf("types %q", snap.Types)
				}
				var ids []string
				for _, p := range snap.Pools["a"].Providers {
					ids = append(ids, p.ID)
				}
				if want := []string{"2", "3", "1", "mine"}; !slices.Equal(ids, want) {
					t.Errorf("ids %q", ids)
				}
				if p := snap.Provider(one); p.Count(poolkeeper.UsageCount) != 15 || !strings.Contains(string(p.Definition), `"x":2`) {
					t.Errorf("%s %s", p.Definition, p.Literal(poolkeeper.UsageCount))
				}
				if string(snap.Pools["a"].Providers[3].Definition) != `{"uuid":"mine","m":1.0}` {
					t.Errorf("%s", snap.Pools["a"].Providers[3].Definition)
				}
			},
		},
		"order alone": {
			dir:     map[string]string{"configs/provider_pools.json": `{"a":[{"uuid":"2","usageCount":5},{"uuid":"1","x":1,"usageCount":5,"lastUsed":"2026-01-02T00:00:00.000Z","isHealthy":true}],"b":[]}`},
			changed: []string{"pool a: order"},
		},
		"renamed in the store": {
			before:  func(t *testing.T, st *poolkeeper.Store) { must(st.RenameProvider(ctx, one, "new", poolkeeper.Always)) },
			dir:     map[string]string{"configs/provider_pools.json": strings.Replace(live, `"uuid":"2"`, `"uuid":"2","y":1`, 1)},
			changed: []string{"a 2: definition"},
			kept:    []string{"a 1: it was renamed to new in the store, and stays as it is there"},
			after: func(t *testing.T, snap *poolkeeper.Snapshot) {
				if ps := snap.Pools["a"].Providers; len(ps) != 2 || ps[0].ID != "new" || ps[0].Count(poolkeeper.UsageCount) != 5 {
					t.Errorf("%v", ps)
				}
			},
		},
		"documents, config, password, files": {
			before: func(t *testing.T, st *poolkeeper.Store) {
				must(st.PutConfig(ctx, []byte(`{"a":1}`), poolkeeper.Always))
				must(st.PutDocument(ctx, "plugins.json", []byte(`{"a":1}`), poolkeeper.Always))
				must(st.PutDocument(ctx, "mine", []byte(`{"a":1}`), poolkeeper.Always))
				must(st.PutDocument(ctx, "stays.json", []byte(`1`), poolkeeper.Always))
				must(st.PutFile(ctx, "configs/f", []byte("1"), poolkeeper.Always))
				must(st.PutFile(ctx, "configs/stays", []byte("1"), poolkeeper.Always))
			},
			dir: map[string]string{"configs/config.json": `{"a":2}`, "configs/plugins.json": "broken", "configs/mine": `{"a":2}`, "configs/f": "2", "configs/g": "", "configs/pwd": " x\n",
				"configs/provider_pools.json": live},
			added:   []string{"file configs/g", "password"},
			changed: []string{"config", "document plugins.json", "document mine", "file configs/f"},
			after: func(t *testing.T, snap *poolkeeper.Snapshot) {
				got := map[string]string{}
				for k, d := range snap.Values {
					got[k.String()] = string(d.Data)
				}
				if got["file configs/stays"] != "1" || got["document stays.json"] != "1" || got["password"] != " x\n" || got["document mine"] != `{"a":2}` || got["file configs/mine"] != "" {
					t.Errorf("%v", got)
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			st := imported(t, dirtest.WriteTree(t, map[string]string{"configs/provider_pools.json": live}))
			if c.before != nil {
				c.before(t, st)
			}
			dir := dirtest.WriteTree(t, c.dir)
			before := snapshot(t, st)
			dry := mustImport(t, st, dir, &transfer.ImportOptions{Force: c.force, DryRun: true})
			if diff := cmp.Diff(before, snapshot(t, st), cmp.AllowUnexported(poolkeeper.State{})); diff != "" {
				t.Fatalf("a dry run wrote:\n%s", diff)
			}
			res := mustImport(t, st, dir, &transfer.ImportOptions{Force: c.force})
			for _, l := range []struct {
				what           string
				want, got, dry []string
			}{
				{"added", c.added, lines(res.Added), lines(dry.Added)},
				{"changed", c.changed, lines(res.Changed), lines(dry.Changed)},
				{"kept", c.kept, lines(res.Kept), lines(dry.Kept)},
			} {
				for _, list := range [][]string{l.want, l.got, l.dry} {
					slices.Sort(list)
				}
				if !slices.Equal(l.want, l.got) || !slices.Equal(l.got, l.dry) {
					t.Errorf("%s: %q, dry %q, want %q", l.what, l.got, l.dry, l.want)
				}
			}
			if c.after != nil {
				c.after(t, snapshot(t, st))
			}
			again := mustImport(t, st, dir, &transfer.ImportOptions{Force: c.force})
			if again.Changes() != 0 {
				t.Errorf("a second import: added %v, changed %v", again.Added, again.Changed)
			}
		})
	}
}

func TestImportTokens(t *testing.T) {
	ctx := context.Background()
	a, b := poolkeeper.Ref{Type: "claude-kiro-oauth", ID: "a"}, poolkeeper.Ref{Type: "claude-kiro-oauth", ID: "b"}
	pools := func(pathA, pathB string) string {
		return `{"claude-kiro-oauth":[{"uuid":"a","KIRO_OAUTH_CREDS_FILE_PATH":"` + pathA + `"},{"uuid":"b","KIRO_OAUTH_CREDS_FILE_PATH":"` + pathB + `"}]}`
	}
	const A, B, C = "configs/kiro/a.json", "configs/kiro/b.json", "configs/kiro/c.json"
	token := func(n int) string { return fmt.Sprintf(`{"n":%d,"expiresAt":"2026-01-%02dT00:00:00.000Z"}`, n, n) }
	base := map[string]string{"configs/provider_pools.json": pools(A, B), A: token(10), B: token(20)}
	with := func(kv ...string) map[string]string {
		m := map[string]string{}
		for k, v := range base {
			m[k] = v
		}
		for i := 0; i < len(kv); i += 2 {
			if m[kv[i]] = kv[i+1]; kv[i+1] == "" {
				delete(m, kv[i])
			}
		}
		return m
	}
	for name, c := range map[string]struct {
		before func(st *poolkeeper.Store)
		dir    map[string]string
		force  bool
		a, b   string // what the two have after it
		kept   int
	}{
		"same":                 {dir: base, a: token(10), b: token(20)},
		"newer":                {dir: with(A, token(11)), a: token(11), b: token(20)},
		"older":                {dir: with(A, token(9)), a: token(10), b: token(20), kept: 1},
		"older, forced":        {dir: with(A, token(9)), force: true, a: token(9), b: token(20)},
		"same expiry":          {dir: with(A, `{"expiry":"2026-01-10T00:00:00.000Z"}`), a: token(10), b: token(20), kept: 1},
		"unknown":              {dir: with(A, `{"n":1}`), a: token(10), b: token(20), kept: 1},
		"stored unknown":       {before: func(st *poolkeeper.Store) { must(st.PutToken(ctx, a, []byte(`{}`), poolkeeper.Always)) }, dir: base, a: `{}`, b: token(20), kept: 1},
		"milliseconds":         {dir: with(A, `{"expiry_date":1780000000000.0}`), a: `{"expiry_date":1780000000000.0}`, b: token(20)},
		"text of milliseconds": {dir: with(A, `{"expiry":null,"expires_at":"1780000000000"}`), a: `{"expiry":null,"expires_at":"1780000000000"}`, b: token(20)},
		"first field counts":   {dir: with(A, `{"expiry":"2020-01-01T00:00:00Z","expiresAt":"2030-01-01T00:00:00Z"}`), a: token(10), b: token(20), kept: 1},
		"damaged":              {dir: with(A, `{"expiresAt":"2030-01-01T00:00:00Z"`), a: token(10), b: token(20), kept: 1},
		"none in the store": {
			before: func(st *poolkeeper.Store) { must(st.DeleteToken(ctx, a, poolkeeper.Always)) },
			dir:    base, a: token(10), b: token(20),
		},
		"kept under a new id": {
			before: func(st *poolkeeper.Store) { must(st.RenameProvider(ctx, a, "z", poolkeeper.Always)) },
			dir:    with(A, token(12)), a: token(12), b: token(20), kept: 1,
		},
		"shared now":           {dir: with("configs/provider_pools.json", pools(A, A), B, ""), a: token(10), b: token(10)},
		"another file":         {dir: with("configs/provider_pools.json", pools(C, B), A, "", C, token(30)), a: token(30), b: token(20)},
		"another, older file":  {dir: with("configs/provider_pools.json", pools(C, B), A, "", C, token(1)), a: token(10), b: token(20), kept: 1},
		"exchanged":            {dir: with("configs/provider_pools.json", pools(B, A)), a: token(20), b: token(10)},
		"handed on":            {dir: with("configs/provider_pools.json", pools(C, A), B, "", C, token(30)), a: token(30), b: token(10)},
		"rotated":              {dir: with("configs/provider_pools.json", strings.TrimSuffix(pools(C, A), "]}")+`,{"uuid":"c","KIRO_OAUTH_CREDS_FILE_PATH":"`+B+`"}]}`, C, token(30)), a: token(30), b: token(10)},
		"given to another":     {dir: with("configs/provider_pools.json", strings.TrimSuffix(pools(C, B), "]}")+`,{"uuid":"c","KIRO_OAUTH_CREDS_FILE_PATH":"`+A+`"}]}`, C, token(1)), a: token(1), b: token(20)},
		"carried where stored": {dir: with("configs/provider_pools.json", `{"claude-kiro-oauth":[{"uuid":"b","KIRO_OAUTH_CREDS_FILE_PATH":"`+B+`"}]}`, A, token(15)), a: token(15), b: token(20)},
	} {
		t.Run(name, func(t *testing.T) {
			st := imported(t, dirtest.WriteTree(t, base))
			if c.before != nil {
				c.before(st)
			}
			dir := dirtest.WriteTree(t, c.dir)
			res := mustImport(t, st, dir, &transfer.ImportOptions{Force: c.force})
			for ref, want := range map[poolkeeper.Ref]string{a: c.a, b: c.b} {
				if got, err := st.Token(ctx, ref); err != nil || string(got.Data) != want {
					t.Errorf("the token of %s is %s, %v, want %s", ref, got.Data, err, want)
				}
			}
			if strings.Contains(c.dir["configs/provider_pools.json"], `"c"`) {
				path := poolkeeper.TokenPaths(snapshot(t, st).Provider(poolkeeper.Ref{Type: a.Type, ID: "c"}).Definition)[0].Path
				if got, err := st.Token(ctx, poolkeeper.Ref{Type: a.Type, ID: "c"}); err != nil || string(got.Data) != c.dir[path] {
					t.Errorf("the token of c is %s, %v", got.Data, err)
				}
			}
			if len(res.Kept) != c.kept {
				t.Errorf("kept %v", res.Kept)
			}
			again := mustImport(t, st, dir, &transfer.ImportOptions{Force: c.force})
			if again.Changes() != 0 {
				t.Errorf("a second import: added %v, changed %v", again.Added, again.Changed)
			}
		})
	}
}

func TestImportSessions(t *testing.T) {
	ctx := context.Background()
	st := imported(t, dirtest.Configs("typical"))
	if _, err := st.PutSession(ctx, "mine", []byte(`{"username":"me"}`), time.Time{}); err != nil {
		t.Fatal(err)
	}
	var gone string
	for k, d := range snapshot(t, st).Values {
		if k.Kind == poolkeeper.KindSession && k.Name != poolkeeper.SessionName("mine") {
			gone, _, _ = poolkeeper.DecodeSession(d.Data)
		}
	}
	must(st.DeleteSession(ctx, gone))
	res := mustImport(t, st, dirtest.Configs("typical"), nil)
	if want := []string{"session " + poolkeeper.SessionName(gone)}; !slices.Equal(lines(res.Added), want) || res.Changes() != 1 {
		t.Errorf("added %v, changed %v", res.Added, res.Changed)
	}
	if _, err := st.Session(ctx, "mine"); err != nil {
		t.Error(err)
	}
	// What an export of it has is no change.
	out, _ := write(t, snapshot(t, st))
	if res := mustImport(t, st, out, nil); res.Changes() != 0 {
		t.Errorf("added %v, changed %v", res.Added, res.Changed)
	}
}

// interfering changes the pool before the first few replacements of it.
type interfering struct {
	poolkeeper.Backend
	left int
}

func (b *interfering) Apply(ctx context.Context, ops ...poolkeeper.Op) []poolkeeper.Result {
	if len(ops) == 1 && ops[0].Kind == poolkeeper.OpReplacePool && b.left > 0 {
		b.left--
		id := fmt.Sprintf("late-%d", b.left)
		b.Backend.Apply(ctx, poolkeeper.Op{Kind: poolkeeper.OpAddProvider, Key: ops[0].Key, ID: id, Data: []byte(`{"uuid":"` + id + `"}`)})
	}
	return b.Backend.Apply(ctx, ops...)
}

func TestImportAgainstOthers(t *testing.T) {
	dir := dirtest.WriteTree(t, map[string]string{"configs/provider_pools.json": strings.Replace(live, `"x":1`, `"x":2`, 1)})
	for left, want := range map[int]error{3: nil, 100: poolkeeper.ErrConflict} {
		b := &interfering{Backend: memstore.New(nil)}
		st := poolkeeper.New(b, nil)
		mustImport(t, st, dirtest.WriteTree(t, map[string]string{"configs/provider_pools.json": live}), nil)
		b.left = left
		_, err := transfer.Import(context.Background(), st, dir, nil)
		if !errors.Is(err, want) {
			t.Fatalf("error %v, want %v", err, want)
		}
		if err != nil {
			continue
		}
		snap := snapshot(t, st)
		if n := len(snap.Pools["a"].Providers); n != 2+left {
			t.Errorf("%d providers, want %d", n, 2+left)
		}
		if p := snap.Provider(poolkeeper.Ref{Type: "a", ID: "1"}); !strings.Contains(string(p.Definition), `"x":2`) {
			t.Errorf("%s", p.Definition)
		}
	}
}

// deaf says that it has changed the configuration, and has not.
type deaf struct{ poolkeeper.Backend }

func (b *deaf) Apply(ctx context.Context, ops ...poolkeeper.Op) []poolkeeper.Result {
	if len(ops) == 1 && ops[0].Key == poolkeeper.ConfigKey {
		return []poolkeeper.Result{{Status: poolkeeper.Applied, Changed: true}}
	}
	return b.Backend.Apply(ctx, ops...)
}

func TestImportIsVerified(t *testing.T) {
	st := poolkeeper.New(&deaf{memstore.New(nil)}, nil)
	mustImport(t, st, dirtest.WriteTree(t, map[string]string{"configs/config.json": `{"a":1}`}), nil)
	_, err := transfer.Import(context.Background(), st, dirtest.WriteTree(t, map[string]string{"configs/config.json": `{"a":2}`}), nil)
	if !errors.Is(err, poolkeeper.ErrDiffers) || !strings.Contains(err.Error(), "config") {
		t.Errorf("error %v, want ErrDiffers about config", err)
	}
}

func TestImportChangedSession(t *testing.T) {
	ctx := context.Background()
	st := imported(t, dirtest.WriteTree(t, map[string]string{"configs/token-store.json": `{"tokens":{"s":{"n":1}}}`}))
	dir := dirtest.WriteTree(t, map[string]string{"configs/token-store.json": `{"tokens":{"s":{"n":2}}}`})
	for _, c := range []struct {
		force bool
		want  string
		kept  int
	}{{false, `{"n":1}`, 1}, {true, `{"n":2}`, 0}} {
		res := mustImport(t, st, dir, &transfer.ImportOptions{Force: c.force})
		if s, err := st.Session(ctx, "s"); err != nil || string(s.Document) != c.want || len(res.Kept) != c.kept {
			t.Errorf("force %v: session %s, %v, kept %v", c.force, s.Document, err, res.Kept)
		}
	}
}

func TestImportCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := transfer.Import(ctx, newStore(t), dirtest.Configs("typical"), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Import: %v", err)
	}
}

// TestVerifyOtherName compares with a directory that is not called configs.
func TestVerifyOtherName(t *testing.T) {
	snap, _ := read(t, dirtest.Configs("edge"))
	out := filepath.Join(t.TempDir(), "backup-2026")
	if _, err := configdir.WriteDir(context.Background(), out, snap, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := transfer.Verify(context.Background(), imported(t, dirtest.Configs("edge")), out, nil); err != nil {
		t.Error(err)
	}
}
