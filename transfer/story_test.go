package transfer_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/filestore"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/transfer"
)

const (
	storyPools = `{"t":[{"uuid":"a","X_TOKEN_FILE_PATH":"configs/s/shared.json"},{"uuid":"z","usageCount":1}],"u":[{"uuid":"b","Y_CREDS_FILE_PATH":"./configs/s/shared.json"}]}`
	storyA     = "t[0].X_TOKEN_FILE_PATH"
	storyB     = "u[0].Y_CREDS_FILE_PATH"
)

// TestRenamesAndSharedTokens tells one story on each backend: a provider is renamed
// twice and used under its old ids, its token file is shared with one of another
// type, and then one of the two changes. The gateway finds what the store has, and
// so does the other backend after an import.
func TestRenamesAndSharedTokens(t *testing.T) {
	srv := redistest.Start(t)
	onRedis := func(t *testing.T) *poolkeeper.Store {
		t.Helper()
		srv.Do("FLUSHALL")
		st := must(openRedis(t, srv.URL()))
		t.Cleanup(func() { st.Close() })
		return st
	}
	onFiles := func(t *testing.T, configs string) (*poolkeeper.Store, *filestore.Store) {
		t.Helper()
		b := must(filestore.Open(t.Context(), configs, &filestore.Options{Lag: time.Hour, Poll: time.Hour}))
		t.Cleanup(func() { b.Close() })
		return poolkeeper.New(b, nil), b
	}
	a, a2, a3, b := poolkeeper.Ref{Type: "t", ID: "a"}, poolkeeper.Ref{Type: "t", ID: "a2"}, poolkeeper.Ref{Type: "t", ID: "a3"}, poolkeeper.Ref{Type: "u", ID: "b"}
	const always = poolkeeper.Always
	own := func(t *testing.T, st *poolkeeper.Store, r poolkeeper.Ref, field string) {
		t.Helper()
		must(st.PatchProvider(t.Context(), r, poolkeeper.MergePatch, []byte(`{"`+field+`":"configs/s/own.json"}`), always))
		must(st.PutToken(t.Context(), r, []byte(`{"n":9}`), always))
	}
	for name, c := range map[string]struct {
		change func(t *testing.T, st *poolkeeper.Store)
		want   map[string]string // field → token, of those that are left
	}{
		"nothing": {func(t *testing.T, st *poolkeeper.Store) {}, map[string]string{storyA: `{"n":2}`, storyB: `{"n":2}`}},
		"the owner renamed again": {func(t *testing.T, st *poolkeeper.Store) {
			must(st.RenameProvider(t.Context(), a, "a4", always))
			must(st.PatchToken(t.Context(), b, poolkeeper.MergePatch, []byte(`{"n":3}`), always))
		}, map[string]string{storyA: `{"n":3}`, storyB: `{"n":3}`}},
		"the other renamed": {func(t *testing.T, st *poolkeeper.Store) {
			must(st.RenameProvider(t.Context(), b, "b2", always))
			must(st.PatchToken(t.Context(), b, poolkeeper.MergePatch, []byte(`{"n":4}`), always))
		}, map[string]string{storyA: `{"n":4}`, storyB: `{"n":4}`}},
		"the owner deleted": {func(t *testing.T, st *poolkeeper.Store) {
			must(st.DeleteProvider(t.Context(), a2, always))
			must(st.PatchToken(t.Context(), b, poolkeeper.MergePatch, []byte(`{"n":5}`), always))
		}, map[string]string{storyB: `{"n":5}`}},
		"the other deleted": {func(t *testing.T, st *poolkeeper.Store) {
			must(st.DeleteProvider(t.Context(), b, always))
			must(st.PatchToken(t.Context(), a, poolkeeper.MergePatch, []byte(`{"n":6}`), always))
		}, map[string]string{storyA: `{"n":6}`}},
		"the owner gets a file of its own": {func(t *testing.T, st *poolkeeper.Store) {
			own(t, st, a, "X_TOKEN_FILE_PATH")
			must(st.PatchToken(t.Context(), b, poolkeeper.MergePatch, []byte(`{"n":7}`), always))
		}, map[string]string{storyA: `{"n":9}`, storyB: `{"n":7}`}},
		"the other gets a file of its own": {func(t *testing.T, st *poolkeeper.Store) {
			own(t, st, b, "Y_CREDS_FILE_PATH")
			must(st.PatchToken(t.Context(), a, poolkeeper.MergePatch, []byte(`{"n":8}`), always))
		}, map[string]string{storyA: `{"n":8}`, storyB: `{"n":9}`}},
		"the owner leaves and is renamed": {func(t *testing.T, st *poolkeeper.Store) {
			own(t, st, a, "X_TOKEN_FILE_PATH")
			must(st.RenameProvider(t.Context(), a2, "a5", always))
			must(st.PatchToken(t.Context(), b, poolkeeper.MergePatch, []byte(`{"n":1}`), always))
		}, map[string]string{storyA: `{"n":9}`, storyB: `{"n":1}`}},
	} {
		story := func(t *testing.T, st *poolkeeper.Store) {
			t.Helper()
			ctx := t.Context()
			must(st.RenameProvider(ctx, a, "a2", always))
			must(st.RenameProvider(ctx, a2, "a3", always))
			must(st.Usage(ctx, a, 2))
			must(st.Usage(ctx, a2, 3))
			must(st.Error(ctx, a, poolkeeper.Failure{Message: "m"}))
			must(st.PutToken(ctx, a, []byte(`{"n":1}`), always))
			if got := must(st.Token(ctx, b)); string(got.Data) != `{"n":1}` {
				t.Errorf("the other has %s", got.Data)
			}
			must(st.PatchToken(ctx, b, poolkeeper.MergePatch, []byte(`{"n":2}`), always))
			if got := must(st.Token(ctx, a2)); string(got.Data) != `{"n":2}` {
				t.Errorf("under an old id it has %s", got.Data)
			}
			if p := must(st.Provider(ctx, a)); p.Ref != a3 || p.Count(poolkeeper.UsageCount) != 5 || p.Count(poolkeeper.ErrorCount) != 1 {
				t.Errorf("%s with %d uses and %d errors", p.Ref, p.Count(poolkeeper.UsageCount), p.Count(poolkeeper.ErrorCount))
			}
			c.change(t, st)
		}
		// seen holds a directory and the store made of it against what is wanted.
		seen := func(t *testing.T, configs string, st *poolkeeper.Store) {
			t.Helper()
			want := map[string]string{}
			for field, token := range c.want {
				want[field] = "file " + dirtest.Sum(token)
			}
			if got, _ := dirtest.Gateway(t, filepath.Dir(configs)); !cmp.Equal(got, want) {
				t.Errorf("the gateway: %s", cmp.Diff(want, got))
			}
			snap := snapshot(t, st)
			for field, token := range c.want {
				if got := must(st.Token(t.Context(), snap.Pools[field[:1]].Providers[0].Ref)); string(got.Data) != token {
					t.Errorf("%s of the store: %s", field, got.Data)
				}
			}
			if diff := must(transfer.Verify(t.Context(), st, configs, nil)); !diff.Equal() {
				t.Errorf("the store is another one: %v", diff.Err())
			}
		}
		source := func(t *testing.T) string {
			return dirtest.WriteTree(t, map[string]string{
				"configs/provider_pools.json": storyPools, "configs/config.json": `{}`, "configs/s/shared.json": `{"n":0}`})
		}
		t.Run(name+"/files to redis", func(t *testing.T) {
			configs := source(t)
			st, files := onFiles(t, configs)
			story(t, st)
			if err := files.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			seen(t, configs, st)
			other := onRedis(t)
			mustImport(t, other, configs, nil)
			seen(t, configs, other)
		})
		t.Run(name+"/redis to files", func(t *testing.T) {
			st := onRedis(t)
			mustImport(t, st, source(t), nil)
			story(t, st)
			out, _ := write(t, snapshot(t, st))
			seen(t, out, st)
			configs := filepath.Join(t.TempDir(), "live", "configs")
			other, files := onFiles(t, configs)
			mustImport(t, other, out, nil)
			if err := files.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			seen(t, configs, other)
		})
	}
}
