package client_test

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/client"
	"github.com/poolkeeper/poolkeeper/filestore"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/server"
)

// TestInstance asks a service who it is, and one that takes another key.
func TestInstance(t *testing.T) {
	is := server.Instance{PID: 7, Address: "http://here", Store: "memory /a"}
	hs := httptest.NewServer(server.New(poolkeeper.New(memstore.New(nil), nil), &server.Options{Key: testKey, Version: "v", Instance: is}).Handler())
	defer hs.Close()
	got, err := dial(t, hs.URL, nil).Instance(t.Context())
	if want := (client.Instance{Version: "v", PID: 7, Address: "http://here", Store: "memory /a"}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	other, err := client.New(hs.URL, "another-key-0123456789", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Instance(t.Context()); !errors.Is(err, poolkeeper.ErrUnauthorized) {
		t.Errorf("with another key: %v", err)
	}
	other.Close()
	if _, err := other.Instance(t.Context()); !errors.Is(err, poolkeeper.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

// TestMarkImport marks a store through the service, also where an answer is lost.
func TestMarkImport(t *testing.T) {
	p := startProxy(t, serve(t, filled(t, memstore.New(nil))), func(string) string { return "" })
	c := dial(t, p.url, nil)
	importing := func() bool {
		info, err := c.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return info.Importing
	}
	lost := 0
	p.set(func(path string) string {
		if lost++; path == "/api/v1/import-mark" && lost == 1 {
			return cutAfter
		}
		return ""
	})
	if err := c.MarkImport(t.Context(), "a", true); err != nil || !importing() {
		t.Errorf("marked: %v", err)
	}
	if err := c.MarkImport(t.Context(), "b", false); err != nil || !importing() {
		t.Errorf("the mark of another run: %v", err)
	}
	if err := c.MarkImport(t.Context(), "a", false); err != nil || importing() {
		t.Errorf("taken away: %v", err)
	}
	if err := c.MarkImport(t.Context(), "", true); !errors.Is(err, poolkeeper.ErrInvalid) {
		t.Errorf("without a name: %v", err)
	}
	if p.count(cutAfter) != 1 {
		t.Error("no answer was lost")
	}
}

// usageInFile is the counter of the first provider as the file has it.
func usageInFile(t *testing.T, dir string) int64 {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "provider_pools.json"))
	if err != nil {
		t.Fatal(err)
	}
	var pools map[string][]struct{ UsageCount int64 }
	if err := json.Unmarshal(data, &pools); err != nil {
		t.Fatal(err)
	}
	return pools["t"][0].UsageCount
}

// TestFlush waits for the files of a directory.
func TestFlush(t *testing.T) {
	dir := t.TempDir() + "/configs"
	b, err := filestore.Open(t.Context(), dir, &filestore.Options{StateDir: t.TempDir(), Lag: 1 << 40, Poll: 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, serve(t, filled(t, b)), nil)
	for n := range int64(3) {
		if r := c.Apply(t.Context(), use("a"))[0]; r.Err != nil {
			t.Fatal(r.Err)
		}
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := usageInFile(t, dir); got != n+1 {
			t.Errorf("the file has %d, want %d", got, n+1)
		}
	}
}
