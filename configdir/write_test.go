package configdir_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// snapshotOf makes a snapshot of pools with the given definitions, and values.
func snapshotOf(t *testing.T, pools string, values map[poolkeeper.Key]string) *poolkeeper.Snapshot {
	t.Helper()
	snap := poolkeeper.NewSnapshot()
	err := rawjson.Object([]byte(pools), func(key, value []byte) error {
		typ, _ := rawjson.Unquote(key)
		var defs [][]byte
		if err := rawjson.Array(value, func(_ int, def []byte) error { defs = append(defs, def); return nil }); err != nil {
			return err
		}
		ids, _ := poolkeeper.AssignIDs(defs)
		p := &poolkeeper.Pool{Type: typ}
		for i, id := range ids {
			p.Providers = append(p.Providers, poolkeeper.Provider{Ref: poolkeeper.Ref{Type: typ, ID: id}, Definition: defs[i]})
		}
		snap.AddPool(p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range values {
		snap.Values[k] = poolkeeper.Document{Data: []byte(v)}
	}
	return snap
}

func TestTargets(t *testing.T) {
	ctx := context.Background()
	snap, _ := read(t, dirtest.Configs("edge"))
	root := t.TempDir()
	dir := filepath.Join(root, "new", "configs")

	t.Run("dry run", func(t *testing.T) {
		if _, err := configdir.WriteDir(ctx, dir, snap, &configdir.WriteOptions{DryRun: true}); err != nil {
			t.Fatal(err)
		}
		if got := dirtest.Tree(t, root); len(got) != 0 {
			t.Errorf("%d files were written", len(got))
		}
	})
	t.Run("empty", func(t *testing.T) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := configdir.WriteDir(ctx, dir, snap, nil); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("not empty", func(t *testing.T) {
		before := dirtest.Tree(t, root)
		_, err := configdir.WriteDir(ctx, dir, snap, nil)
		if !errors.Is(err, poolkeeper.ErrExists) || !strings.Contains(err.Error(), "force") {
			t.Errorf("error %v", err)
		}
		if diff := cmp.Diff(before, dirtest.Tree(t, root)); diff != "" {
			t.Errorf("something changed:\n%s", diff)
		}
	})
	t.Run("beside", func(t *testing.T) {
		other := filepath.Join(root, "new", "other")
		// The token beside the directory is the same: nothing is in the way.
		if _, err := configdir.WriteDir(ctx, other, snap, nil); err != nil {
			t.Fatal(err)
		}
		beside := filepath.Join(root, "new", "kiro_creds1.json")
		if err := os.WriteFile(beside, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		third := filepath.Join(root, "new", "third")
		if _, err := configdir.WriteDir(ctx, third, snap, nil); !errors.Is(err, poolkeeper.ErrExists) || !strings.Contains(err.Error(), "kiro_creds1.json") {
			t.Errorf("error %v", err)
		}
		if _, err := os.Stat(third); err == nil {
			t.Error("the directory was made")
		}
	})
	t.Run("force", func(t *testing.T) {
		for name, data := range map[string]string{"foreign.txt": "stays", "pwd": "old", "kiro/foreign.json": "stays too"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := configdir.WriteDir(ctx, dir, snap, &configdir.WriteOptions{Force: true}); err != nil {
			t.Fatal(err)
		}
		got := dirtest.Tree(t, dir)
		if got["foreign.txt"] != "stays" || got["kiro/foreign.json"] != "stays too" || got["pwd"] == "old" {
			t.Errorf("pwd %q, foreign %q", got["pwd"], got["foreign.txt"])
		}
		for p := range got {
			if strings.HasSuffix(p, ".tmp") {
				t.Errorf("%s was left behind", p)
			}
		}
	})
	t.Run("force against a directory", func(t *testing.T) {
		if err := os.Remove(filepath.Join(dir, "pwd")); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(dir, "pwd", "x"), 0o755); err != nil {
			t.Fatal(err)
		}
		before := dirtest.Tree(t, dir)
		changed := *snap
		if _, err := configdir.WriteDir(ctx, dir, &changed, &configdir.WriteOptions{Force: true}); !errors.Is(err, poolkeeper.ErrExists) || !strings.Contains(err.Error(), "pwd") {
			t.Errorf("error %v", err)
		}
		if diff := cmp.Diff(before, dirtest.Tree(t, dir)); diff != "" {
			t.Errorf("something changed:\n%s", diff)
		}
	})
	t.Run("a file", func(t *testing.T) {
		p := filepath.Join(root, "file")
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := configdir.WriteDir(ctx, p, snap, nil); err == nil {
			t.Error("a file was taken for a directory")
		}
	})
}

// TestOrderOfWriting checks that config.json comes last, after the pools,
// after everything that they refer to.
func TestOrderOfWriting(t *testing.T) {
	snap, _ := read(t, dirtest.Configs("edge"))
	out, _ := write(t, snap)
	at := func(name string) time.Time {
		info, err := os.Stat(filepath.Join(filepath.Dir(out), name))
		if err != nil {
			t.Fatal(err)
		}
		return info.ModTime()
	}
	config, pools := at("configs/config.json"), at("configs/provider_pools.json")
	if config.Before(pools) {
		t.Error("config.json was written before the pools")
	}
	for p := range dirtest.Tree(t, filepath.Dir(out)) {
		if p != "configs/config.json" && pools.Before(at(p)) {
			t.Errorf("the pools were written before %s", p)
		}
	}
}

// TestWriteStaysInside has links in the target and paths in the snapshot that
// lead out of it.
func TestWriteStaysInside(t *testing.T) {
	ctx := context.Background()
	owner := poolkeeper.Ref{Type: "claude-kiro-oauth", ID: "1"}
	const pools = `{"claude-kiro-oauth":[{"uuid":"1"}]}`
	for _, p := range []string{"../x.json", "a/../../x.json", "/x.json", "configs/../../x", "configs//x", "", "."} {
		snap := snapshotOf(t, pools, map[poolkeeper.Key]string{poolkeeper.FileKey(p): "SECRET"})
		if _, err := configdir.WriteDir(ctx, filepath.Join(t.TempDir(), "configs"), snap, nil); !errors.Is(err, poolkeeper.ErrInvalid) {
			t.Errorf("file %q: %v", p, err)
		}
	}
	for _, p := range []string{"../x.json", "/nowhere/x.json", "configs/../../x", "configs/pwd", "configs/provider_pools.json", ".", "configs"} {
		snap := snapshotOf(t, pools, map[poolkeeper.Key]string{
			poolkeeper.TokenKey(owner): `{"t":1}`, poolkeeper.TokenRefKey(p): string(poolkeeper.EncodeTokenOwner(owner)),
		})
		out, report := write(t, snap)
		if got := dirtest.Tree(t, filepath.Dir(filepath.Dir(out)))["root/configs/kiro/1/1.json"]; got != `{"t":1}` || len(report.Warnings) == 0 {
			t.Errorf("token %q: %v", p, dirtest.Tree(t, filepath.Dir(filepath.Dir(out))))
		}
	}
	for _, name := range []string{"../x", "a/b", "config.json", "pwd.tmp", "temp", "provider_pools.json", ".."} {
		snap := snapshotOf(t, pools, map[poolkeeper.Key]string{poolkeeper.DocumentKey(name): "{}"})
		if _, err := configdir.WriteDir(ctx, filepath.Join(t.TempDir(), "configs"), snap, nil); !errors.Is(err, poolkeeper.ErrInvalid) {
			t.Errorf("document %q: %v", name, err)
		}
	}
	outside := t.TempDir()
	snap := snapshotOf(t, pools, map[poolkeeper.Key]string{poolkeeper.FileKey("configs/sub/x"): "1", poolkeeper.PasswordKey: "p"})
	dir := dirtest.WriteTree(t, nil)
	link(t, outside, filepath.Join(dir, "sub"))
	if _, err := configdir.WriteDir(ctx, dir, snap, &configdir.WriteOptions{Force: true}); err == nil {
		t.Error("a link out of the root was followed")
	}
	if got := dirtest.Tree(t, outside); len(got) != 0 {
		t.Errorf("written outside: %v", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "pwd")); err == nil {
		t.Error("pwd was written before the refusal")
	}
	// A link in the place of a file is replaced, not written through.
	victim := filepath.Join(outside, "victim")
	if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir = dirtest.WriteTree(t, nil)
	link(t, victim, filepath.Join(dir, "pwd"))
	if _, err := configdir.WriteDir(ctx, dir, snap, &configdir.WriteOptions{Force: true}); err != nil {
		t.Error(err)
	}
	if data, _ := os.ReadFile(victim); string(data) != "mine" {
		t.Errorf("written through a link: %q", data)
	}
}

func TestConflicts(t *testing.T) {
	a, b := poolkeeper.Ref{Type: "t", ID: "a"}, poolkeeper.Ref{Type: "t", ID: "b"}
	const pools = `{"t":[{"uuid":"a"},{"uuid":"b"}]}`
	token := func(r poolkeeper.Ref, p string) map[poolkeeper.Key]string {
		return map[poolkeeper.Key]string{poolkeeper.TokenKey(r): `{}`, poolkeeper.TokenRefKey(p): string(poolkeeper.EncodeTokenOwner(r))}
	}
	with := func(ms ...map[poolkeeper.Key]string) map[poolkeeper.Key]string {
		out := map[poolkeeper.Key]string{}
		for _, m := range ms {
			for k, v := range m {
				out[k] = v
			}
		}
		return out
	}
	file := func(p string) map[poolkeeper.Key]string { return map[poolkeeper.Key]string{poolkeeper.FileKey(p): "x"} }
	for name, values := range map[string]map[poolkeeper.Key]string{
		"two tokens":           with(token(a, "configs/x.json"), token(b, "./configs/x.json")),
		"token is a directory": with(token(a, "configs/x"), token(b, "configs/x/y")),
		"file is a directory":  with(file("configs/x"), file("configs/x/y")),
		"file over config":     file("configs/config.json"),
		"file over pools":      file("configs/provider_pools.json"),
		"file below pools":     file("configs/provider_pools.json/x"),
		"file is configs":      file("configs"),
		"file over document":   with(file("configs/plugins.json"), map[poolkeeper.Key]string{poolkeeper.DocumentKey("plugins.json"): "{}"}),
		"file over other":      with(file("configs/mine"), map[poolkeeper.Key]string{poolkeeper.DocumentKey("mine"): "{}"}),
	} {
		dir := filepath.Join(t.TempDir(), "configs")
		if _, err := configdir.WriteDir(context.Background(), dir, snapshotOf(t, pools, values), nil); !errors.Is(err, poolkeeper.ErrExists) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: something was written", name)
		}
	}
	// What was carried as a file before a provider named it is its token now.
	out, report := write(t, snapshotOf(t, pools, with(token(a, "configs/x.json"), file("configs/x.json"))))
	if got := dirtest.Tree(t, out)["x.json"]; got != "{}" || len(report.Warnings) != 1 || report.Warnings[0].Code != configdir.CodeShadowed {
		t.Errorf("%q, %v", got, report.Warnings)
	}
}

// TestPlacing exports tokens that no file was ever named for.
func TestPlacing(t *testing.T) {
	kiro := func(id string) poolkeeper.Ref { return poolkeeper.Ref{Type: "claude-kiro-oauth", ID: id} }
	pools := `{"claude-kiro-oauth":[
		{"uuid":"plain","x":1.0},
		{"uuid":"odd:/*é"},
		{"KIRO_TOKEN_FILE_PATH":"redis:tokens:claude-kiro-oauth:fork","uuid":"fork"},
		{"uuid":"named","KIRO_OAUTH_CREDS_FILE_PATH":"./configs/kiro/own.json"},
		{"uuid":"CASE"},{"uuid":"case"},
		{"uuid":"shares","KIRO_OAUTH_CREDS_FILE_PATH":"configs/kiro/shared.json"},
		{"uuid":"abs","KIRO_OAUTH_CREDS_FILE_PATH":"/nowhere/x.json"}],
	"claude-kiro-oauth-2":[{"uuid":"plain"}],"openai-iflow":[{"uuid":"i"}],"pwd":[{"uuid":"p"}],"temp":[{"uuid":"p"}]}`
	stored := map[poolkeeper.Key]string{
		poolkeeper.TokenRefKey("configs/kiro/shared.json"): string(poolkeeper.EncodeTokenOwner(kiro("named"))),
		poolkeeper.TokenRefKey("/nowhere/x.json"):          string(poolkeeper.EncodeTokenOwner(kiro("abs"))),
	}
	for _, r := range []poolkeeper.Ref{
		kiro("plain"), kiro("odd:/*é"), kiro("fork"), kiro("named"), kiro("CASE"), kiro("case"), kiro("shares"), kiro("abs"), kiro("gone"),
		{Type: "claude-kiro-oauth-2", ID: "plain"}, {Type: "openai-iflow", ID: "i"}, {Type: "pwd", ID: "p"}, {Type: "temp", ID: "p"},
	} {
		stored[poolkeeper.TokenKey(r)] = `{"of":"` + r.Type + " " + r.ID + `"}`
	}
	// It has a path by which others share it; its own definition names another.
	snap := snapshotOf(t, pools, stored)
	out, report := write(t, snap)
	again, found := read(t, out)
	got := values(again)
	for id, field := range map[string]string{"plain": "KIRO_OAUTH_CREDS_FILE_PATH", "odd:/*é": "KIRO_OAUTH_CREDS_FILE_PATH", "fork": "KIRO_TOKEN_FILE_PATH",
		"CASE": "KIRO_OAUTH_CREDS_FILE_PATH", "case": "KIRO_OAUTH_CREDS_FILE_PATH", "abs": "KIRO_OAUTH_CREDS_FILE_PATH"} {
		p := again.Provider(kiro(id))
		paths := poolkeeper.TokenPaths(p.Definition)
		if len(paths) == 0 || paths[0].Field != field || !strings.HasPrefix(paths[0].Path, "configs/kiro/") {
			t.Errorf("%s names %v", id, paths)
		}
		if d, ok := again.Token(kiro(id)); !ok || string(d.Data) != `{"of":"claude-kiro-oauth `+id+`"}` {
			t.Errorf("the token of %s is %q", id, d.Data)
		}
	}
	if d, _ := again.Token(poolkeeper.Ref{Type: "openai-iflow", ID: "i"}); len(d.Data) == 0 {
		t.Error("iFlow has no token")
	}
	if def := string(again.Provider(kiro("plain")).Definition); !strings.Contains(def, `"x": 1.0`) || !strings.Contains(def, "configs/kiro/plain/plain.json") {
		t.Errorf("definition is %s", def)
	}
	for _, r := range []string{`"claude-kiro-oauth gone"`, `"claude-kiro-oauth shares"`, `"pwd p"`, `"temp p"`} {
		n := 0
		for _, v := range got {
			if v == `{"of":`+r+`}` {
				n++
			}
		}
		if n != 1 {
			t.Errorf("the token of %s is there %d times", r, n)
		}
	}
	if len(report.Warnings) < 8 || found.Providers != 12 {
		t.Errorf("%d providers, warnings %v", found.Providers, report.Warnings)
	}
	if string(snap.Provider(kiro("plain")).Definition) != `{"uuid":"plain","x":1.0}` {
		t.Error("the snapshot was changed")
	}
	c, err := configdir.CompareSnapshots(again, snap, nil)
	if err != nil || !c.Equal() {
		t.Errorf("%v %v", c, err)
	}
}

func TestTokenStore(t *testing.T) {
	ctx := context.Background()
	now := time.UnixMilli(1_780_000_000_000)
	src := dirtest.WriteTree(t, map[string]string{"configs/token-store.json": `{
  "tokens": {
    "old": { "username": "a", "expiryTime": 1 },
    "live": {"username":"b","expiryTime":1e13},
    "null": null,
    "ever": { "username": "c" },
    "text": { "expiryTime": " 1790000000000 " },
    "odd": { "expiryTime": "soon" },
    "zero": { "expiryTime": 0 },
    "huge": { "expiryTime": 1e300 }
  },
  "future": [1.0]
}`})
	snap, report, err := configdir.ReadDir(ctx, src, &configdir.ReadOptions{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	if report.Sessions != 4 || report.SessionEntries != 8 {
		t.Errorf("%d sessions of %d", report.Sessions, report.SessionEntries)
	}
	for k, d := range snap.Values {
		if op := (poolkeeper.Op{Kind: poolkeeper.OpPut, Key: k, Data: d.Data, ExpiresAt: d.ExpiresAt}); op.Validate() != nil {
			t.Errorf("no store takes %s: %v", k, op.Validate())
		}
	}
	delete(snap.Values, poolkeeper.SessionKey(poolkeeper.SessionName("live")))
	snap.Values[poolkeeper.SessionKey(poolkeeper.SessionName("new:1"))] = poolkeeper.Document{
		Data: poolkeeper.EncodeSession("new:1", []byte(`{"username":"d"}`)), ExpiresAt: 1_790_000_000_001,
	}
	snap.Values[poolkeeper.SessionKey(poolkeeper.SessionName("late"))] = poolkeeper.Document{
		Data: poolkeeper.EncodeSession("late", []byte(`{"username":"e"}`)), ExpiresAt: 1,
	}
	dir := filepath.Join(t.TempDir(), "configs")
	if _, err := configdir.WriteDir(ctx, dir, snap, &configdir.WriteOptions{Now: func() time.Time { return now }}); err != nil {
		t.Fatal(err)
	}
	want := `{
  "tokens": {
    "old": { "username": "a", "expiryTime": 1 },
    "null": null,
    "ever": { "username": "c" },
    "text": { "expiryTime": " 1790000000000 " },
    "odd": { "expiryTime": "soon" },
    "zero": { "expiryTime": 0 },
    "huge": { "expiryTime": 1e300 },
    "new:1": {"username":"d","expiryTime":1790000000001}
  },
  "future": [1.0]
}`
	if diff := cmp.Diff(want, dirtest.Tree(t, dir)["token-store.json"]); diff != "" {
		t.Errorf("token-store.json (-want +got):\n%s", diff)
	}

	for name, c := range map[string]struct{ doc, want string }{
		"none":    {"", "{\n  \"tokens\": {\n    \"b\": {}\n  }\n}"},
		"damaged": {"{", "{\n  \"tokens\": {\n    \"b\": {}\n  }\n}"},
		"empty":   {`{"tokens":{}}`, "{\"tokens\":{\n    \"b\": {}\n  }}"},
		"without": {`{"x":1}`, "{\"x\":1,\"tokens\":{\n    \"b\": {}\n  }}"},
	} {
		snap := snapshotOf(t, "{}", map[poolkeeper.Key]string{poolkeeper.SessionKey(poolkeeper.SessionName("b")): string(poolkeeper.EncodeSession("b", []byte("{}")))})
		if c.doc != "" {
			snap.Values[poolkeeper.DocumentKey("token-store.json")] = poolkeeper.Document{Data: []byte(c.doc)}
		}
		out, _ := write(t, snap)
		got := dirtest.Tree(t, out)["token-store.json"]
		if strings.Join(strings.Fields(got), "") != strings.Join(strings.Fields(c.want), "") || rawjson.Valid([]byte(got)) != nil {
			t.Errorf("%s: %s", name, got)
		}
		if _, report := read(t, out); report.Sessions != 1 {
			t.Errorf("%s: %d sessions", name, report.Sessions)
		}
	}
}
