package filestore_test

import (
	"errors"
	"log/slog"
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
// read nor written. That is said at the start, and to whoever reads or puts the
// token, with the file and the way out.
func TestTokenOutside(t *testing.T) {
	for name, place := range map[string]func(parent, outside string) string{
		"absolute": func(_, outside string) string { return outside },
		"above": func(parent, outside string) string {
			rel, err := filepath.Rel(parent, outside)
			if err != nil {
				t.Fatal(err)
			}
			return rel
		},
	} {
		t.Run(name, func(t *testing.T) { tokenOutside(t, place) })
	}
}

func tokenOutside(t *testing.T, place func(parent, outside string) string) {
	ctx := t.Context()
	outside := filepath.Join(quickDir(t), "x.json")
	if err := os.WriteFile(outside, []byte(`{"refreshToken":"SECRET"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(quickDir(t), "configs")
	named := filepath.ToSlash(place(filepath.Dir(dir), outside))
	apply(t, dir, edit{"provider_pools.json": `{"t":[{"uuid":"a","X_TOKEN_FILE_PATH":"` + named + `"}]}`})
	a := poolkeeper.Ref{Type: "t", ID: "a"}
	var log strings.Builder
	opts := &filestore.Options{Lag: time.Hour, Poll: time.Hour, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	s := openAt(t, dir, opts)
	st := poolkeeper.New(s, nil)
	refused := func(err error, want error) {
		t.Helper()
		var e *poolkeeper.Error
		if !errors.Is(err, want) || !errors.As(err, &e) || !strings.Contains(err.Error(), named) || !strings.Contains(e.Hint, "configs/TYPE/NAME.json") {
			t.Errorf("%v, want one that is %v, with the file and the way out", err, want)
		}
	}
	check := func(s *filestore.Store) {
		t.Helper()
		info, err := s.Info(ctx)
		if err != nil || !strings.Contains(strings.Join(info.Warnings, "\n"), named) {
			t.Errorf("it is not told: %q, %v", info.Warnings, err)
		}
		_, err = poolkeeper.New(s, nil).Token(ctx, a)
		refused(err, poolkeeper.ErrNotFound)
		if data, err := os.ReadFile(outside); err != nil || string(data) != `{"refreshToken":"SECRET"}` {
			t.Errorf("the file outside is %s, %v", data, err)
		}
		if left, err := filepath.Glob(filepath.Join(filepath.Dir(outside), "*")); err != nil || len(left) != 1 {
			t.Errorf("outside there are %q, %v", left, err)
		}
	}
	check(s)
	if n := strings.Count(log.String(), "leaves the parent"); n != 1 {
		t.Errorf("it is logged %d times: %s", n, log.String())
	}
	for range 2 {
		_, err := st.PutToken(ctx, a, []byte(`{"n":1}`), poolkeeper.Always)
		refused(err, poolkeeper.ErrForbidden)
	}
	if _, err := st.Usage(ctx, a, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	check(s)
	check(openAt(t, copyOf(t, dir), opts))
	// The way out.
	if _, err := st.PatchProvider(ctx, a, poolkeeper.MergePatch, []byte(`{"X_TOKEN_FILE_PATH":"configs/t/a.json"}`), poolkeeper.Always); err != nil {
		t.Fatal(err)
	}
	if _, err := st.PutToken(ctx, a, []byte(`{"n":1}`), poolkeeper.Always); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "t", "a.json")); err != nil || string(data) != `{"n":1}` {
		t.Errorf("inside it is %s, %v", data, err)
	}
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
