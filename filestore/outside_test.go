package filestore_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/filestore"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
)

// TestTokenOutside: a token file outside of the parent of the directory is neither
// read nor written, and that is said; a token that is put for its provider stays.
func TestTokenOutside(t *testing.T) {
	ctx := t.Context()
	outside := filepath.Join(t.TempDir(), "x.json")
	if err := os.WriteFile(outside, []byte(`{"refreshToken":"SECRET"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(quickDir(t), "configs")
	apply(t, dir, edit{"provider_pools.json": `{"t":[{"uuid":"a","X_TOKEN_FILE_PATH":"` + filepath.ToSlash(outside) + `"}]}`})
	a := poolkeeper.Ref{Type: "t", ID: "a"}
	check := func(s *filestore.Store, token string) {
		t.Helper()
		info, err := s.Info(ctx)
		if err != nil || !strings.Contains(strings.Join(info.Warnings, "\n"), "X_TOKEN_FILE_PATH") {
			t.Errorf("it is not told: %q, %v", info.Warnings, err)
		}
		snap, err := s.Load(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if d, _ := snap.Token(a); string(d.Data) != token {
			t.Errorf("the token is %s", d.Data)
		}
		if data, err := os.ReadFile(outside); err != nil || string(data) != `{"refreshToken":"SECRET"}` {
			t.Errorf("the file outside is %s, %v", data, err)
		}
	}
	opts := &filestore.Options{Lag: time.Hour, Poll: time.Hour}
	s := openAt(t, dir, opts)
	check(s, "")
	st := poolkeeper.New(s, nil)
	if _, err := st.PutToken(ctx, a, []byte(`{"n":1}`), poolkeeper.Always); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	check(s, `{"n":1}`)
	check(openAt(t, copyOf(t, dir), opts), `{"n":1}`)
}

// TestStepsOfTokenPaths: where a token path goes through a directory and out of
// it again, a checkpoint makes that, so that the gateway finds the file.
func TestStepsOfTokenPaths(t *testing.T) {
	ctx := t.Context()
	dir := filepath.Join(quickDir(t), "configs")
	apply(t, dir, edit{"provider_pools.json": `{}`})
	s := openAt(t, dir, &filestore.Options{Lag: time.Hour, Poll: time.Hour})
	st := poolkeeper.New(s, nil)
	a := poolkeeper.Ref{Type: "t", ID: "a"}
	if _, err := st.AddProvider(ctx, "t", []byte(`{"uuid":"a","X_TOKEN_FILE_PATH":"configs/none/../a.json"}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := st.PutToken(ctx, a, []byte(`{"n":1}`), poolkeeper.Always); err != nil {
		t.Fatal(err)
	}
	found := func(when string) {
		t.Helper()
		if err := s.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if got, _ := dirtest.Gateway(t, filepath.Dir(dir)); !strings.HasPrefix(got["t[0].X_TOKEN_FILE_PATH"], "file ") {
			t.Errorf("%s the gateway has %v", when, got)
		}
	}
	found("written")
	if err := os.Remove(filepath.Join(dir, "none")); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Usage(ctx, a, 1); err != nil {
		t.Fatal(err)
	}
	found("removed and written again")
}
