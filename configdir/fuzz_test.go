package configdir

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// FuzzPools parses anything as provider_pools.json. What is taken must come
// out again as the same tokens, in the application's style.
func FuzzPools(f *testing.F) {
	paths, err := filepath.Glob("../testdata/fixtures/broken/*/configs/provider_pools.json")
	if err != nil || len(paths) < 10 {
		f.Fatalf("%d seeds, %v", len(paths), err)
	}
	for _, p := range append(paths, "../testdata/fixtures/edge/configs/provider_pools.json", "../testdata/fixtures/edge-bom/configs/provider_pools.json") {
		if data, err := os.ReadFile(p); err == nil && len(data) < 1<<16 {
			f.Add(data)
		}
	}
	f.Add([]byte(`{"a":[{"uuid":"1"},{"uuid":"1"},{}],"a":[],"\u0061":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		report := &Report{}
		pools, err := parsePools(data, report)
		if err != nil {
			if !errors.Is(err, poolkeeper.ErrInvalid) && !errors.Is(err, poolkeeper.ErrTooLarge) {
				t.Fatalf("error of no class: %v", err)
			}
			return
		}
		out, err := formatPools(pools)
		if err != nil {
			t.Fatalf("what was parsed cannot be written: %v", err)
		}
		again, err := parsePools(out, &Report{})
		if err != nil {
			t.Fatalf("what was written cannot be parsed: %v", err)
		}
		twice, err := formatPools(again)
		if err != nil || !bytes.Equal(out, twice) {
			t.Fatal("the format is not stable")
		}
		in, _ := rawjson.StripBOM(data)
		if !strings.Contains(string(in), `\`) && len(report.Warnings) == 0 && !rawjson.EqualTokens(in, out) {
			t.Fatal("the tokens differ")
		}
		check := newChecker(report)
		for _, p := range pools {
			if err := poolkeeper.ValidateType(p.typ); err != nil {
				t.Fatal(err)
			}
			pool := check.pool(p)
			seen := map[string]bool{}
			for i := range pool.Providers {
				q := &pool.Providers[i]
				if err := poolkeeper.ValidateDefinition(q.Definition); err != nil || q.Validate() != nil || seen[q.ID] {
					t.Fatalf("provider %d: %v", i, err)
				}
				seen[q.ID] = true
				check.definition(p.typ, i, q.Definition)
			}
		}
	})
}

// FuzzTokenStore puts sessions into anything.
func FuzzTokenStore(f *testing.F) {
	f.Add([]byte(`{"tokens":{"a":{"expiryTime":"1"},"b":null,"c":{}},"x":1}`), "c")
	f.Add([]byte(`{"tokens":[]}`), "")
	f.Add([]byte("\xef\xbb\xbf{}"), "b")
	f.Fuzz(func(t *testing.T, doc []byte, bearer string) {
		const now = 1_780_000_000_000
		s := readTokenStore(doc, now)
		if out, there, replaced := composeTokenStore(doc, true, s.live, now); !there || replaced || !bytes.Equal(out, doc) {
			t.Fatal("a document with its own sessions changed")
		}
		if bearer == "" || len(bearer) > maxBearer || !bytes.Equal([]byte(bearer), bytes.ToValidUTF8([]byte(bearer), nil)) {
			return
		}
		live := map[string]session{bearer: {bearer, []byte(`{"username":"x"}`), 0}}
		out, there, _ := composeTokenStore(doc, true, live, now)
		if !there || rawjson.Valid(out) != nil {
			t.Fatal("no valid document")
		}
		if got := readTokenStore(out, now); !sameSessions(got.live, live) {
			t.Fatalf("%d sessions", len(got.live))
		}
	})
}

// writePlain writes what WriteDir would, without waiting for the disk, which is
// most of the time that WriteDir takes.
func writePlain(t *testing.T, dir string, snap *poolkeeper.Snapshot, now int64) {
	t.Helper()
	target, err := newTarget(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	l, err := layOut(snap, target.prefixes, now, false, false)
	if err != nil {
		t.Fatalf("what was read cannot be laid out: %v", err)
	}
	pools, err := l.poolsDocument()
	if err != nil {
		t.Fatalf("the pools cannot be written: %v", err)
	}
	for _, p := range l.steps(target.prefixes) {
		if err := os.MkdirAll(filepath.Join(filepath.Dir(dir), p), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	l.files[poolsFile] = File{poolkeeper.PoolsKey, pools}
	for p, f := range l.files {
		full := filepath.Join(filepath.Dir(dir), filepath.FromSlash(p))
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// FuzzDirectory reads a directory with anything for its pools, its config.json,
// a token and a document. What is taken is written and read again as it was,
// and written again as the same bytes.
func FuzzDirectory(f *testing.F) {
	add := func(pools, config, token, doc string) {
		f.Add([]byte(pools), []byte(config), []byte(token), []byte(doc))
	}
	add(`{"claude-kiro-oauth":[{"uuid":"1","KIRO_OAUTH_CREDS_FILE_PATH":"./configs/kiro/t.json","usageCount":1.0},{"uuid":"1"},{}],"":[]}`, `{"redis":{"host":"x"},"A_CREDS_FILE_PATH":"configs/kiro/t.json"}`, `{"accessToken":"x"}`, `{"tokens":{"a":{"expiryTime":4102444800000},"b":null}}`)
	add(`{"t":[{"A_TOKEN_FILE_PATH":"configs/x/../kiro/t.json","B_TOKEN_FILE_PATH":"configs/token-store.json"}]}`, `{"PROVIDER_POOLS_FILE_PATH":"configs/provider_pools.json"}`, "", `{"tokens":[]}`)
	add("\xef\xbb\xbf{\"t\":[{\"uuid\":\"~\",\"\\ud800\":\"\xff\"}]}", "\xef\xbb\xbf{}", "\x00\xff", "{")
	add(`{"a":[],"a":[{"x":{"y":1,"y":2}}]}`, `{"a":1,"a":2}`, `{"a":1,"a":2}`, `{"tokens":{"a":{},"a":{"x":[]}}}`)
	add(`{"openai-iflow":[{"IFLOW_OAUTH_CREDS_FILE_PATH":"configs/kiro/t.json","IFLOW_TOKEN_FILE_PATH":"configs/kiro"}]}`, `{}`, `[]`, `null`)
	const now = 1_780_000_000_000
	clock := func() time.Time { return time.UnixMilli(now) }
	f.Fuzz(func(t *testing.T, pools, config, token, doc []byte) {
		dir := filepath.Join(t.TempDir(), "configs")
		for name, data := range map[string][]byte{"provider_pools.json": pools, "config.json": config, "kiro/t.json": token, "token-store.json": doc, "kiro/sibling.json": token, "pwd": token} {
			p := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		snap, report, err := ReadDir(t.Context(), dir, &ReadOptions{Now: clock})
		if err != nil {
			if !errors.Is(err, poolkeeper.ErrInvalid) && !errors.Is(err, poolkeeper.ErrTooLarge) {
				t.Fatalf("error of no class: %v", err)
			}
			return
		}
		for k, d := range snap.Values {
			if op := (poolkeeper.Op{Kind: poolkeeper.OpPut, Key: k, Data: d.Data, ExpiresAt: d.ExpiresAt, If: poolkeeper.IfAbsent}); op.Validate() != nil {
				t.Fatalf("no store takes %s: %v", k, op.Validate())
			}
		}
		for _, n := range report.Warnings {
			if !utf8.ValidString(n.String()) || len(n.String()) > 2*poolkeeper.MaxPath {
				t.Fatalf("a note cannot be shown: %q", n.String())
			}
		}
		var written [2]map[string]string
		for i := range written {
			out := filepath.Join(t.TempDir(), "configs")
			writePlain(t, out, snap, now)
			written[i] = map[string]string{}
			for _, name := range []string{"provider_pools.json", "config.json", "kiro/t.json", "token-store.json", "kiro/sibling.json", "pwd"} {
				data, err := os.ReadFile(filepath.Join(out, name))
				if err != nil {
					t.Fatal(err)
				}
				written[i][name] = string(data)
			}
			again, _, err := ReadDir(t.Context(), out, &ReadOptions{Now: clock})
			if err != nil {
				t.Fatalf("what was written cannot be read: %v", err)
			}
			if c, err := CompareSnapshots(snap, again, &CompareOptions{Now: clock, Dir: dir}); err != nil || !c.Equal() {
				t.Fatalf("read again: %v %v", err, c.Differences)
			}
			snap = again
		}
		for name, data := range map[string][]byte{"config.json": config, "kiro/t.json": token, "token-store.json": doc, "kiro/sibling.json": token, "pwd": token} {
			if written[0][name] != string(data) {
				t.Fatalf("%s was changed", name)
			}
		}
		if !maps.Equal(written[0], written[1]) {
			t.Fatal("written again it is another")
		}
	})
}

// FuzzTokenPath reads anything as the path of a token: it is never followed out
// of the root, and what is found is found again in an export.
func FuzzTokenPath(f *testing.F) {
	for _, s := range []string{
		"./configs/kiro/t.json", "configs//kiro/../kiro/t.json", "../outside.json", "configs/link/outside.json", "/outside.json", "configs/in/t.json", "beside.json",
		"configs/none/../kiro/t.json", "configs/provider_pools.json", "a\x00b", "%2e%2e/outside.json", `..\outside.json`, "", ".", "configs/kiro/", "configs/../../root/beside.json", "~",
	} {
		f.Add(s)
	}
	const secret = `{"accessToken":"what lies outside"}`
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) || len(text) > 1000 {
			return
		}
		base := t.TempDir()
		dir := filepath.Join(base, "root", "configs")
		def := append(append([]byte(`{"t":[{"uuid":"1","A_TOKEN_FILE_PATH":`), rawjson.Quote(text)...), "}]}"...)
		for name, data := range map[string][]byte{"outside.json": []byte(secret), "root/beside.json": []byte(`{"n":1}`), "root/configs/kiro/t.json": []byte(`{"n":2}`), "root/configs/provider_pools.json": def} {
			p := filepath.Join(base, name)
			if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for name, target := range map[string]string{"link": "../..", "in": "kiro"} {
			if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		snap, report, err := ReadDir(t.Context(), dir, nil)
		if err != nil {
			t.Fatalf("a path alone is never refused: %v", err)
		}
		for k, d := range snap.Values {
			if string(d.Data) == secret {
				t.Fatalf("%s has what lies outside", k)
			}
		}
		ref := poolkeeper.Ref{Type: "t", ID: "1"}
		_, found := snap.Token(ref)
		noted := slices.ContainsFunc(report.Warnings, func(n Note) bool { return strings.HasPrefix(n.Where, "t[0].") })
		if !found && !noted {
			t.Fatal("neither found nor noted")
		}
		out := filepath.Join(base, "export", "configs")
		writePlain(t, out, snap, 1_780_000_000_000)
		again, _, err := ReadDir(t.Context(), out, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := CompareSnapshots(snap, again, &CompareOptions{Dir: dir}); err != nil || !c.Equal() {
			t.Fatalf("read again: %v %v", err, c.Differences)
		}
		// For the gateway, too, the file is where the text leads.
		if found && !filepath.IsAbs(text) {
			if _, err := os.Stat(filepath.Dir(out) + "/" + text); err != nil && !noted {
				t.Fatalf("in an export %q leads nowhere: %v", text, err)
			}
		}
	})
}
