package filestore_test

import (
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

const (
	derivedOne = `{"n":1,"X_TOKEN_FILE_PATH":"configs/k/one.json"}`
	derivedTwo = `{"n":2,"X_TOKEN_FILE_PATH":"configs/k/two.json"}`
)

// derivedDir has two equal providers without a uuid, of which the first has become
// another one since, with three uses and a token of its own. It is as a crash leaves
// it after a checkpoint.
func derivedDir(t *testing.T) (dir string, opts *filestore.Options, was *poolkeeper.Snapshot) {
	t.Helper()
	opts = &filestore.Options{Lag: time.Hour, Poll: time.Hour}
	dir = filepath.Join(quickDir(t), "configs")
	apply(t, dir, edit{"provider_pools.json": `{"t":[` + derivedOne + `,` + derivedOne + `]}`})
	s := openAt(t, dir, opts)
	st := poolkeeper.New(s, nil)
	pool, err := st.Pool(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	first := pool.Providers[0].Ref
	_, err = st.PatchProvider(t.Context(), first, poolkeeper.MergePatch, []byte(derivedTwo), poolkeeper.Always)
	if err == nil {
		_, err = st.PutToken(t.Context(), first, []byte(`{"accessToken":"SECRET2"}`), poolkeeper.Always)
	}
	if err == nil {
		_, err = st.Usage(t.Context(), first, 3)
	}
	if err == nil {
		err = s.Flush(t.Context())
	}
	if err == nil {
		was, err = s.Load(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return copyOf(t, dir), opts, was
}

func poolIDs(s *poolkeeper.Snapshot) (ids []string) {
	for _, p := range s.Pools["t"].Providers {
		ids = append(ids, p.ID)
	}
	return ids
}

// TestDerivedIDs: ids that no file holds are in the state directory, and stay with
// the providers that have them. Without the state directory they are derived anew.
func TestDerivedIDs(t *testing.T) {
	dir, opts, was := derivedDir(t)
	s := openAt(t, dir, opts)
	load := func() *poolkeeper.Snapshot {
		t.Helper()
		snap, err := s.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return snap
	}
	if d := storetest.Diff(was, load()); d != "" {
		t.Errorf("after a crash: %s", d)
	}
	s.Close()
	if err := os.RemoveAll(filepath.Join(filepath.Dir(dir), ".poolkeeper")); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, dir, opts)
	now := load()
	for i, def := range []string{derivedTwo, derivedOne} {
		p := &now.Pools["t"].Providers[i]
		if p.ID != poolkeeper.DerivedID([]byte(def), 1) || p.Count(poolkeeper.UsageCount) != []int64{3, 0}[i] {
			t.Errorf("without the state directory %d is %s and counts %d", i, p.ID, p.Count(poolkeeper.UsageCount))
		}
	}
	if tok, err := poolkeeper.New(s, nil).Token(t.Context(), now.Pools["t"].Providers[0].Ref); err != nil || !strings.Contains(string(tok.Data), "SECRET2") {
		t.Errorf("its token: %v", err)
	}
}

// TestDerivedIDsAndEdits: what another program does to the file while the store is
// closed, or open, happens to the provider that it means.
func TestDerivedIDsAndEdits(t *testing.T) {
	for _, open := range []bool{false, true} {
		dir, opts, was := derivedDir(t)
		var s *filestore.Store
		if open {
			s = openAt(t, dir, opts)
		}
		pools := filepath.Join(dir, "provider_pools.json")
		data, err := os.ReadFile(pools)
		if err != nil {
			t.Fatal(err)
		}
		// A third one that is what both were, before them; and its token.
		apply(t, dir, edit{
			"provider_pools.json": strings.Replace(string(data), "[", `[{"n":1,"X_TOKEN_FILE_PATH":"configs/k/one.json"},`, 1),
			"k/one.json":          `{"accessToken":"SECRET1"}`,
		})
		if !open {
			s = openAt(t, dir, opts)
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		now, err := s.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ids, had := poolIDs(now), poolIDs(was)
		if len(ids) != 3 || !slices.Contains(ids, had[0]) || !slices.Contains(ids, had[1]) {
			t.Fatalf("open %v: %q, and was %q", open, ids, had)
		}
		st := poolkeeper.New(s, nil)
		for _, p := range now.Pools["t"].Providers {
			uses, secret := int64(0), "SECRET1"
			if p.ID == had[0] {
				uses, secret = 3, "SECRET2"
			}
			if n := p.Count(poolkeeper.UsageCount); n != uses {
				t.Errorf("open %v: %s counts %d", open, p.ID, n)
			}
			if tok, err := st.Token(t.Context(), p.Ref); err != nil || !strings.Contains(string(tok.Data), secret) {
				t.Errorf("open %v: the token of %s is not its own: %v", open, p.ID, err)
			}
		}
		s.Close()
	}
}

// TestEditOfOneOfEqualProviders: of providers that nothing tells apart another program
// edits the second: it is the second that is edited.
func TestEditOfOneOfEqualProviders(t *testing.T) {
	ctx := t.Context()
	opts := &filestore.Options{Lag: time.Hour, Poll: time.Hour}
	dir := filepath.Join(quickDir(t), "configs")
	apply(t, dir, edit{"provider_pools.json": `{"t":[{"n":1},{"n":1},{"n":1}]}`})
	st := poolkeeper.New(openAt(t, dir, opts), nil)
	pool, err := st.Pool(ctx, "t")
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, 3)
	for i := range pool.Providers {
		ids[i] = pool.Providers[i].ID
		if _, err := st.Usage(ctx, pool.Providers[i].Ref, int64(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	crashed := copyOf(t, dir)
	apply(t, crashed, edit{"provider_pools.json": `{"t":[{"n":1},{"n":1,"edited":1},{"n":1}]}`})
	s := openAt(t, crashed, opts)
	now, err := s.Load(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range now.Pools["t"].Providers {
		if p.ID != ids[i] || p.Count(poolkeeper.UsageCount) != int64(i+1) || strings.Contains(string(p.Definition), "edited") != (i == 1) {
			t.Errorf("%d is %s, used %d times: %s", i, p.ID, p.Count(poolkeeper.UsageCount), p.Definition)
		}
	}
	if info, err := s.Info(ctx); err != nil || len(info.Warnings) > 0 {
		t.Errorf("%q, %v", info.Warnings, err)
	}
}
