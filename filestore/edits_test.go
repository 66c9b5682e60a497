package filestore_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/filestore"
	"github.com/poolkeeper/poolkeeper/storetest"
)

// An edit is what another program does to the files: contents by path, "" to
// remove one.
type edit map[string]string

const editPools = `{
  "t": [
    {"uuid":"a","note":1,"other":1,"usageCount":5,"X_TOKEN_FILE_PATH":"configs/k/a.json"},
    {"uuid":"b","note":1,"usageCount":7},
    {"name":"no uuid","usageCount":1}
  ],
  "u": [{"uuid":"z"}]
}`

func editDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(quickDir(t), "configs")
	apply(t, dir, edit{
		"provider_pools.json": editPools, "config.json": `{"a":1,"b":1}`, "k/a.json": `{"accessToken":"SECRET0","refreshToken":"SECRET1"}`,
		"plugins.json": `{"plugins":{}}`, "prompt.txt": "one", "token-store.json": `{"tokens":{"SECRETs1":{"u":1}}}`, "pwd": "SECRETpw",
	})
	return dir
}

func apply(t *testing.T, dir string, e edit) {
	t.Helper()
	for name, data := range e {
		p := filepath.Join(dir, name)
		if data == "" {
			if err := os.Remove(p); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEditsByOthers has both sides change things between two checkpoints.
func TestEditsByOthers(t *testing.T) {
	ctx := context.Background()
	a, b := poolkeeper.Ref{Type: "t", ID: "a"}, poolkeeper.Ref{Type: "t", ID: "b"}
	patch := func(r poolkeeper.Ref, p string) func(*poolkeeper.Store) error {
		return func(st *poolkeeper.Store) error {
			_, err := st.PatchProvider(ctx, r, poolkeeper.MergePatch, []byte(p), poolkeeper.Always)
			return err
		}
	}
	use := func(r poolkeeper.Ref, n int64) func(*poolkeeper.Store) error {
		return func(st *poolkeeper.Store) error { _, err := st.Usage(ctx, r, n); return err }
	}
	pools := func(pairs ...string) edit {
		return edit{"provider_pools.json": strings.NewReplacer(pairs...).Replace(editPools)}
	}
	const rowB = "\n    {\"uuid\":\"b\",\"note\":1,\"usageCount\":7},"
	for name, c := range map[string]struct {
		ours   []func(*poolkeeper.Store) error
		theirs edit
		// want are parts of what the files are afterwards, wantNot what they
		// are not; listed is what the operator is told, in this order.
		want, wantNot []string
		listed        []string
		// atOpen says what is wanted where the edit is made while the store is
		// closed after a crash, if that is another thing.
		atOpen []string
	}{
		"a field each":           {ours: []func(*poolkeeper.Store) error{patch(a, `{"other":2}`)}, theirs: pools(`"a","note":1`, `"a","note":9`), want: []string{`"a","note":9,"other":2`}},
		"the same field":         {ours: []func(*poolkeeper.Store) error{patch(a, `{"note":2}`)}, theirs: pools(`"a","note":1`, `"a","note":9`), want: []string{`"a","note":9`}, listed: []string{"provider t a was changed by another program and here in the same fields: those of the file count, ours of note are gone"}},
		"the same change":        {ours: []func(*poolkeeper.Store) error{patch(a, `{"note":9}`)}, theirs: pools(`"a","note":1`, `"a","note":9`), want: []string{`"a","note":9`}},
		"a field removed":        {ours: []func(*poolkeeper.Store) error{patch(a, `{"other":2}`)}, theirs: pools(`"note":1,"other":1,`, `"other":1,`), want: []string{`"a","other":2`}},
		"a definition, ours not": {ours: []func(*poolkeeper.Store) error{use(a, 3)}, theirs: pools(`"a","note":1`, `"a", "new":[1.0], "note":1`), want: []string{`"new":[1.0]`, `"usageCount":8`}},
		"runtime": {ours: []func(*poolkeeper.Store) error{use(a, 3)}, theirs: pools(`"usageCount":5`, `"usageCount":100,"isHealthy":false`), want: []string{`"usageCount":8`}, wantNot: []string{"isHealthy"},
			listed: []string{"runtime fields that another program wrote into provider_pools.json do not count while the store is open: usageCount, isHealthy"}, atOpen: []string{`"usageCount":103`, `"isHealthy":false`}},
		"runtime alone": {theirs: pools(`"usageCount":5`, `"usageCount":0`, `"usageCount":7`, `"usageCount":0`), want: []string{`"usageCount":5`, `"usageCount":7`},
			listed: []string{"runtime fields that another program wrote into provider_pools.json do not count while the store is open: usageCount"}, atOpen: []string{`"a","note":1,"other":1,"usageCount":0`}},
		"a provider added": {ours: []func(*poolkeeper.Store) error{use(b, 1)}, theirs: pools(rowB, rowB+`{"uuid":"n","usageCount":4},`), want: []string{`"uuid":"n","usageCount":4`, `"usageCount":8`}},
		"a provider added on both": {ours: []func(*poolkeeper.Store) error{func(st *poolkeeper.Store) error {
			_, err := st.AddProvider(ctx, "t", []byte(`{"uuid":"n","x":1}`))
			return err
		}}, theirs: pools(rowB, rowB+`{"uuid":"n","x":2},`), want: []string{`"uuid":"n","x":2`}, wantNot: []string{`"x":1`}, listed: []string{"provider t n was added by another program and here: the definition of the file counts"}},
		"others added": {ours: []func(*poolkeeper.Store) error{func(st *poolkeeper.Store) error {
			_, err := st.AddProvider(ctx, "t", []byte(`{"uuid":"m"}`))
			return err
		}}, theirs: pools(rowB, rowB+`{"uuid":"n"},`), want: []string{`"uuid":"n"`, `"uuid":"m"`}},
		"a provider removed":     {theirs: pools(rowB, ``), want: []string{`"uuid":"a"`}, wantNot: []string{`"uuid":"b"`}},
		"removed while counting": {ours: []func(*poolkeeper.Store) error{use(b, 4)}, theirs: pools(rowB, ``), wantNot: []string{`"uuid":"b"`}, listed: []string{"provider t b was removed by another program: what was counted here since then is gone with it (4 uses)"}},
		"removed while edited":   {ours: []func(*poolkeeper.Store) error{patch(b, `{"note":3}`)}, theirs: pools(rowB, ``), wantNot: []string{`"uuid":"b"`}, listed: []string{"provider t b was removed by another program, and was changed here: it is removed"}},
		"removed here":           {ours: []func(*poolkeeper.Store) error{func(st *poolkeeper.Store) error { _, err := st.DeleteProvider(ctx, b, poolkeeper.Always); return err }}, theirs: pools(`"a","note":1`, `"a","note":9`), want: []string{`"a","note":9`}, wantNot: []string{`"uuid":"b"`}},
		"removed here, edited":   {ours: []func(*poolkeeper.Store) error{func(st *poolkeeper.Store) error { _, err := st.DeleteProvider(ctx, b, poolkeeper.Always); return err }}, theirs: pools(`"b","note":1`, `"b","note":9`), want: []string{`"b","note":9`}, listed: []string{"provider t b was changed by another program, and removed here: it is kept as it was changed"}},
		"reordered":              {ours: []func(*poolkeeper.Store) error{use(b, 1)}, theirs: pools(rowB, ``, `"u": [`, `"dummy":[], "u": [`, "\"t\": [", `"t": [`+strings.TrimPrefix(rowB, "\n    ")), want: []string{`"t":[{"uuid":"b","note":1,"usageCount":8`, `"dummy":[]`}},
		"no uuid, edited":        {ours: []func(*poolkeeper.Store) error{func(st *poolkeeper.Store) error { return useDerived(ctx, st) }}, theirs: pools(`"no uuid"`, `"edited"`), want: []string{`"name":"edited","usageCount":2`}},
		"renamed here": {ours: []func(*poolkeeper.Store) error{func(st *poolkeeper.Store) error {
			_, err := st.RenameProvider(ctx, b, "b2", poolkeeper.Always)
			return err
		}}, theirs: pools(`"b","note":1`, `"b","note":9`), want: []string{`"uuid":"b2","note":9`}, wantNot: []string{`"uuid":"b"`}},
		"a pool removed":         {theirs: pools(",\n  \"u\": [{\"uuid\":\"z\"}]", ``), wantNot: []string{`"z"`}},
		"types in another order": {theirs: edit{"provider_pools.json": `{"u":[{"uuid":"z"}],"t":[{"uuid":"b","note":1,"usageCount":7}]}`}, want: []string{`{"u":[{"uuid":"z"}],"t":[{"uuid":"b"`}},
		"white space":            {theirs: pools("\n", "\r\n\t"), want: []string{`"uuid":"a"`}},
		"pools gone":             {ours: []func(*poolkeeper.Store) error{use(a, 1)}, theirs: edit{"provider_pools.json": ""}, want: []string{`"usageCount":6`}, listed: []string{"configs/provider_pools.json was removed by another program: it is written again"}},
		"config gone":            {theirs: edit{"config.json": ""}, want: []string{`{"a":1,"b":1}`}, listed: []string{"configs/config.json was removed by another program: it is written again"}},
		"config, a field each":   {ours: []func(*poolkeeper.Store) error{config(ctx, `{"a":2}`)}, theirs: edit{"config.json": `{"a":1,"b":9,"c":1}`}, want: []string{`{"a":2,"b":9,"c":1}`}},
		"config, the same field": {ours: []func(*poolkeeper.Store) error{config(ctx, `{"a":2}`)}, theirs: edit{"config.json": `{"a":9,"b":1}`}, want: []string{`{"a":9,"b":1}`}, listed: []string{"configs/config.json was changed by another program and here in the same fields: those of the file count, ours of a are gone"}},
		"config, ours alone":     {ours: []func(*poolkeeper.Store) error{config(ctx, `{"a":2}`)}, want: []string{`{"a":2,"b":1}`}},
		"a token":                {theirs: edit{"k/a.json": `{"accessToken":"SECRET0","refreshToken":"SECRET9"}`}, want: []string{`"SECRET9"`}, wantNot: []string{"SECRET1"}},
		"a token on both": {ours: []func(*poolkeeper.Store) error{func(st *poolkeeper.Store) error {
			_, err := st.PatchToken(ctx, a, poolkeeper.MergePatch, []byte(`{"refreshToken":"SECRET2"}`), poolkeeper.Always)
			return err
		}}, theirs: edit{"k/a.json": `{"accessToken":"SECRET3","refreshToken":"SECRET9"}`}, want: []string{"SECRET3", "SECRET9"}, wantNot: []string{"SECRET2"},
			listed: []string{"configs/k/a.json was changed by another program and here in the same fields: those of the file count, ours of refreshToken are gone"}},
		"a new token":          {theirs: edit{"k/b.json": `{"refreshToken":"SECRETb"}`, "provider_pools.json": strings.Replace(editPools, `"b",`, `"b","X_TOKEN_FILE_PATH":"./configs/k/b.json",`, 1)}, want: []string{`"SECRETb"`, `./configs/k/b.json`}},
		"a new file":           {theirs: edit{"new/x.bin": "\x00"}, want: []string{"\x00"}},
		"a file on both":       {ours: []func(*poolkeeper.Store) error{file(ctx, "two")}, theirs: edit{"prompt.txt": "nine"}, want: []string{"nine"}, wantNot: []string{"two"}, listed: []string{"configs/prompt.txt was changed by another program and here: the file counts, ours is gone"}},
		"a file gone":          {theirs: edit{"prompt.txt": ""}, wantNot: []string{"one"}},
		"a file gone, changed": {ours: []func(*poolkeeper.Store) error{file(ctx, "two")}, theirs: edit{"prompt.txt": ""}, wantNot: []string{"one", "two"}, listed: []string{"configs/prompt.txt was removed by another program, and had changed here: it is removed"}},
		"a document":           {theirs: edit{"plugins.json": `{"plugins":{"p":1}}`}, want: []string{`{"p":1}`}},
		"a session added":      {theirs: edit{"token-store.json": `{"tokens":{"SECRETs1":{"u":1},"SECRETs2":{"u":2}}}`}, want: []string{"SECRETs1", "SECRETs2"}},
		"a session removed":    {theirs: edit{"token-store.json": `{"tokens":{}}`}, wantNot: []string{"SECRETs1"}},
		"a session on each": {ours: []func(*poolkeeper.Store) error{func(st *poolkeeper.Store) error {
			_, err := st.PutSession(ctx, "SECRETs3", []byte(`{"u":3}`), time.Time{})
			return err
		}}, theirs: edit{"token-store.json": `{"tokens":{"SECRETs1":{"u":1},"SECRETs2":{"u":2}}}`}, want: []string{"SECRETs1", "SECRETs2", "SECRETs3"}},
		"a password":       {theirs: edit{"pwd": "SECRETnew"}, want: []string{"SECRETnew"}, wantNot: []string{"SECRETpw"}},
		"a gateway starts": {ours: []func(*poolkeeper.Store) error{use(a, 2), patch(b, `{"note":4}`)}, theirs: pools(`"usageCount":5`, `"usageCount":0,"lastUsed":null`, `"usageCount":7`, `"usageCount":0,"lastUsed":null`, `"usageCount":1`, `"usageCount":0`), want: []string{`"usageCount":7`, `"b","note":4,"usageCount":7`}, listed: []string{"runtime fields that another program wrote into provider_pools.json do not count while the store is open: usageCount, lastUsed"}, atOpen: []string{`"usageCount":2`, `"b","note":4,"usageCount":0`}},
	} {
		for _, mode := range []string{"open", "killed"} {
			t.Run(name+"/"+mode, func(t *testing.T) {
				dir := editDir(t)
				opts := &filestore.Options{Lag: time.Hour, Poll: time.Hour}
				s := openAt(t, dir, opts)
				st := poolkeeper.New(s, nil)
				for _, fn := range c.ours {
					if err := fn(st); err != nil {
						t.Fatal(err)
					}
				}
				listed, want, wantNot := c.listed, c.want, c.wantNot
				if mode == "killed" {
					dir = copyOf(t, dir) // as a crash would leave it
					apply(t, dir, c.theirs)
					opts = &filestore.Options{Lag: time.Hour, Poll: time.Hour}
					s = openAt(t, dir, opts)
					if c.atOpen != nil {
						want, wantNot, listed = c.atOpen, nil, nil
					}
				} else {
					apply(t, dir, c.theirs)
				}
				if err := s.Flush(ctx); err != nil {
					t.Fatal(err)
				}
				info, err := s.Info(ctx)
				if err != nil {
					t.Fatal(err)
				}
				var told []string
				for _, w := range info.Warnings {
					_, text, _ := strings.Cut(w, " ")
					told = append(told, text)
				}
				if !slices.Equal(told, listed) {
					t.Errorf("listed %q,\nwant   %q", told, listed)
				}
				text := strings.Join(contents(t, dir), "\n")
				for _, part := range want {
					if !strings.Contains(text, part) && !strings.Contains(strings.NewReplacer(" ", "", "\n", "", "\r", "", "\t", "").Replace(text), part) {
						t.Errorf("%s is not in the files:\n%s", part, text)
					}
				}
				for _, part := range wantNot {
					if strings.Contains(text, part) {
						t.Errorf("%s is in the files:\n%s", part, text)
					}
				}
				if strings.Contains(strings.Join(info.Warnings, ""), "SECRET") {
					t.Errorf("a secret is listed: %q", info.Warnings)
				}
				// What was merged is settled: nothing more is to be done, also
				// at the next start.
				before, err := s.Load(ctx)
				if err != nil {
					t.Fatal(err)
				}
				s.Close()
				s = openAt(t, dir, opts)
				after, err := s.Load(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if d := storetest.Diff(before, after); d != "" {
					t.Errorf("after another start: %s", d)
				}
				if again, _ := s.Info(ctx); len(again.Warnings) != len(info.Warnings) {
					t.Errorf("listed again: %q", again.Warnings)
				}
			})
		}
	}
}

func config(ctx context.Context, p string) func(*poolkeeper.Store) error {
	return func(st *poolkeeper.Store) error {
		_, err := st.PatchConfig(ctx, poolkeeper.MergePatch, []byte(p), poolkeeper.Always)
		return err
	}
}

func file(ctx context.Context, data string) func(*poolkeeper.Store) error {
	return func(st *poolkeeper.Store) error {
		_, err := st.PutFile(ctx, "configs/prompt.txt", []byte(data), poolkeeper.Always)
		return err
	}
}

func useDerived(ctx context.Context, st *poolkeeper.Store) error {
	p, err := st.Pool(ctx, "t")
	if err != nil {
		return err
	}
	_, err = st.Usage(ctx, p.Providers[2].Ref, 1)
	return err
}

// copyOf copies a directory with its state directory.
func copyOf(t testing.TB, dir string) string {
	t.Helper()
	to := quickDir(t)
	if err := os.CopyFS(to, os.DirFS(filepath.Dir(dir))); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(to, filepath.Base(dir))
}

// contents are those of all files, token-store.json first.
func contents(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(p, ".lock") {
			return err
		}
		data, err := os.ReadFile(p)
		all = append(all, string(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
