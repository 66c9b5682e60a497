package open_test

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/open"
)

// TestCopy: a store in Redis is read from a copy where that is asked for, and only
// then.
func TestCopy(t *testing.T) {
	s := resolve(t, map[string]string{"REDIS_URL": redistest.Start(t).SocketURL()})
	direct, err := open.Store(t.Context(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close()
	if _, ok := direct.Backend().(poolkeeper.Viewer); ok {
		t.Error("a copy that nobody asked for")
	}
	if err := direct.Restore(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	copied, err := open.Store(t.Context(), s, &open.Options{Outlast: true})
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	if _, err := copied.AddProvider(t.Context(), "t", []byte(`{"uuid":"a"}`)); err != nil {
		t.Fatal(err)
	}
	v := copied.Backend().(poolkeeper.Viewer).View()
	if v == nil || v.Provider(poolkeeper.Ref{Type: "t", ID: "a"}) == nil {
		t.Errorf("the copy is %+v", v)
	}
	info, err := copied.Info(t.Context())
	if err != nil || info.Backend != "redis" || info.Details["copy"] != "current" {
		t.Errorf("Info: %+v, %v", info, err)
	}
}

// TestCloseWithoutCopy: a store that never saw its Redis ends well, and there was
// nothing of which a snapshot could have been written.
func TestCloseWithoutCopy(t *testing.T) {
	s := resolve(t, map[string]string{"REDIS_URL": "unix://" + filepath.Join(t.TempDir(), "nobody.sock")})
	var log bytes.Buffer
	st, err := open.Store(t.Context(), s, &open.Options{Outlast: true, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Usage(t.Context(), one, 1); err != nil {
		t.Error(err)
	}
	if err := st.Close(); err != nil {
		t.Errorf("closed: %v", err)
	}
	if strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "level=WARN") {
		t.Errorf("the log:\n%s", log.String())
	}
}
