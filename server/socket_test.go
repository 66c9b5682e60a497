package server

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// TestSocket: the service answers on its socket too, which is its owner's alone,
// needs the key, and is gone with it.
func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), SocketName)
	ln, err := ListenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("%v, %v", info, err)
	}
	srv := New(poolkeeper.New(gated(t), nil), &Options{Key: testKey})
	tcp := listen(t)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx, tcp, ln) }()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
	get := func(key, host string) int {
		t.Helper()
		req, _ := http.NewRequest("GET", "http://"+host+base+"/status", nil)
		req.Header.Set("Authorization", "Bearer "+key)
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	if a, b, c := get(testKey, "localhost"), get("", "localhost"), get(testKey, "evil.example"); a != 200 || b != 401 || c != 403 {
		t.Errorf("with the key %d, without %d, under another host %d", a, b, c)
	}
	if status := post(t, tcp.Addr().String()); status != 200 {
		t.Errorf("on the port beside it: %d", status)
	}
	if _, err := ListenSocket(path); poolkeeper.ClassOf(err).Code != "forbidden" || !strings.Contains(err.Error(), "another service") {
		t.Errorf("a second service: %v", err)
	}
	if status := get(testKey, "localhost"); status != 200 {
		t.Errorf("after a second service was refused: %d", status)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	client.CloseIdleConnections()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 0 {
		t.Errorf("left: %v", entries)
	}
}

// TestSocketLeftBehind: the socket of a service that was killed is replaced;
// anything else stays as it is.
func TestSocketLeftBehind(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, SocketName)
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	ln, err := ListenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	// A later one has its place by the time it closes.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	next, err := ListenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the socket of another is gone: %v", err)
	}
	next.Close()

	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ListenSocket(path); poolkeeper.ClassOf(err).Code != "forbidden" {
		t.Errorf("a file is there: %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "mine" {
		t.Errorf("it holds %q, %v", data, err)
	}
	if _, err := ListenSocket(filepath.Join(dir, "none", SocketName)); poolkeeper.ClassOf(err).Code != "forbidden" {
		t.Errorf("no directory: %v", err)
	}
	if _, err := ListenSocket(filepath.Join(dir, strings.Repeat("x", maxSocketPath))); poolkeeper.ClassOf(err).Code != "invalid" {
		t.Errorf("a long path: %v", err)
	}
	at := filepath.Join(dir, strings.Repeat("y", maxSocketPath-len(dir)-1))
	long, err := ListenSocket(at)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(at); err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("%v, %v", info, err)
	}
	long.Close()
}
