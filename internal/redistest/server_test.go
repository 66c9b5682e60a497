package redistest

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"
)

func TestServerHelpers(t *testing.T) {
	t.Parallel()
	s := Start(t)
	bin := "a\x00\r\n\xff"
	s.DoString("SET", "bin:"+bin, bin)
	if got := s.DoString("GET", "bin:"+bin); got != bin {
		t.Errorf("GET = %q, want %q", got, bin)
	}
	if got, err := s.Do("GET", "none"); got != nil || err != nil {
		t.Errorf("GET of a missing key = %v, %v", got, err)
	}
	if got := s.DoInt("HSET", "h", "f", "v", "g", "12"); got != 2 {
		t.Errorf("HSET = %d", got)
	}
	if got := s.DoInt("HGET", "h", "g"); got != 12 {
		t.Errorf("DoInt of a string = %d", got)
	}
	if got, want := s.HGetAll("h"), map[string]string{"f": "v", "g": "12"}; !reflect.DeepEqual(got, want) {
		t.Errorf("HGetAll = %v, want %v", got, want)
	}
	s.DoInt("RPUSH", "l", "x", "y")
	if got := s.DoStrings("LRANGE", "l", "0", "-1"); !reflect.DeepEqual(got, []string{"x", "y"}) {
		t.Errorf("DoStrings = %q", got)
	}
	if got := s.Keys("[hl]"); !reflect.DeepEqual(got, []string{"h", "l"}) {
		t.Errorf("Keys = %q", got)
	}
	var e Error
	if _, err := s.Do("INCR", "h"); !errors.As(err, &e) || !strings.HasPrefix(string(e), "WRONGTYPE ") {
		t.Errorf("INCR of a hash: %v", err)
	}
	s.ConfigSet("slowlog-log-slower-than", "0")
	s.DoString("GET", "slow-one")
	s.ConfigSet("slowlog-log-slower-than", "-1")
	found := false
	for _, l := range s.SlowLog() {
		found = found || reflect.DeepEqual(l.Args, []string{"GET", "slow-one"})
	}
	if !found {
		t.Errorf("GET is not in the slow log: %v", s.SlowLog())
	}
	if got := s.Info("server")["tcp_port"]; !strings.HasSuffix(s.Addr(), ":"+got) {
		t.Errorf("INFO tcp_port %s, Addr %s", got, s.Addr())
	}
	// A connection that was killed by another client is replaced.
	other := client{socket: s.Socket()}
	defer other.drop()
	if _, err := other.do([]string{"CLIENT", "KILL", "TYPE", "normal"}); err != nil {
		t.Fatal(err)
	}
	s.FlushAll()
	if n := s.DoInt("DBSIZE"); n != 0 {
		t.Errorf("%d keys after FlushAll", n)
	}
}

func TestServerURLs(t *testing.T) {
	t.Parallel()
	s := Start(t, WithPassword(`p@ss "word`))
	for _, u := range []string{s.URL(), s.SocketURL()} {
		c, err := rueidis.NewClient(single(t, u))
		if err != nil {
			t.Fatalf("%s: %v", u, err)
		}
		if err := c.Do(context.Background(), c.B().Ping().Build()).Error(); err != nil {
			t.Errorf("%s: %v", u, err)
		}
		c.Close()
	}
}

// single returns options for one server that never retries by itself.
func single(t *testing.T, url string) rueidis.ClientOption {
	t.Helper()
	o, err := rueidis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	o.ForceSingleClient, o.DisableRetry, o.DisableCache = true, true, true
	o.PipelineMultiplex = -1 // one connection
	return o
}

func TestServerAOFRestart(t *testing.T) {
	t.Parallel()
	s := Start(t, WithAOF("always"))
	addr := s.Addr()
	s.DoString("SET", "k", "v")
	s.Kill()
	s.Kill() // nothing more to do
	if s.Running() {
		t.Error("running after Kill")
	}
	if _, err := s.Do("PING"); err == nil {
		t.Error("PING answered by a dead server")
	}
	s.Restart()
	if got := s.DoString("GET", "k"); got != "v" || s.Addr() != addr {
		t.Errorf("after restart: %q on %s", got, s.Addr())
	}
	s.Stop()
	s.Restart()
	if got := s.DoString("GET", "k"); got != "v" {
		t.Errorf("after stop and restart: %q", got)
	}
}

func TestServerRestartWithoutAOF(t *testing.T) {
	t.Parallel()
	s := Start(t)
	s.DoString("SET", "k", "v")
	s.Restart()
	if n := s.DoInt("DBSIZE"); n != 0 {
		t.Errorf("%d keys survived", n)
	}
}

func TestServerPause(t *testing.T) {
	t.Parallel()
	s := Start(t)
	s.Pause()
	done := make(chan error, 1)
	go func() {
		_, err := s.Do("PING")
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("PING answered while paused: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	s.Resume()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s.Pause() // the cleanup must cope with it
}

func TestServerTLS(t *testing.T) {
	t.Parallel()
	s := Start(t, WithTLS())
	if !strings.HasPrefix(s.URL(), "rediss://") {
		t.Errorf("URL = %s", s.URL())
	}
	conn, err := tls.Dial("tcp", s.Addr(), s.TLSConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		t.Fatal(err)
	}
	pong := make([]byte, 7)
	if _, err := io.ReadFull(conn, pong); err != nil || string(pong) != "+PONG\r\n" {
		t.Errorf("PING over TLS = %q, %v", pong, err)
	}
	if _, err := tls.Dial("tcp", s.Addr(), &tls.Config{ServerName: "localhost"}); err == nil {
		t.Error("the certificate is trusted without the CA")
	}
	// A replica speaks TLS with it by itself.
	r := Start(t, WithReplicaOf(s))
	if r.TLSConfig() == nil {
		t.Error("the replica has no TLS")
	}
}

func TestServerACL(t *testing.T) {
	t.Parallel()
	s := Start(t, WithACL("alice on >secret ~app:* +get", "user default off"))
	s.DoString("SET", "app:k", "v")
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "AUTH alice secret\r\nGET app:k\r\nGET other\r\n"); err != nil {
		t.Fatal(err)
	}
	want := "+OK\r\n$1\r\nv\r\n-NOPERM"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Errorf("alice got %q, %v", got, err)
	}
}

func TestServerReplica(t *testing.T) {
	t.Parallel()
	m := Start(t)
	m.DoString("SET", "k", "v")
	r := Start(t, WithReplicaOf(m), WithConfig("replica-priority", "7"))
	if got := r.DoString("GET", "k"); got != "v" {
		t.Errorf("replica has %q", got)
	}
	if got := r.Info("replication")["slave_priority"]; got != "7" {
		t.Errorf("slave_priority = %s", got)
	}
	var e Error
	if _, err := r.Do("SET", "k", "w"); !errors.As(err, &e) || !strings.HasPrefix(string(e), "READONLY") {
		t.Errorf("SET on a replica: %v", err)
	}
}

func TestServerDirs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, stop, err := StartMain(WithDir(dir), WithAOF("everysec"))
	if errors.Is(err, ErrNotInstalled) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.DoString("SET", "k", "v")
	s.Stop()
	stop()
	if _, err := os.Stat(s.runDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("files left behind: %v", err)
	}
	if got := Start(t, WithDir(dir), WithAOF("everysec")).DoString("GET", "k"); got != "v" {
		t.Errorf("a second server on the directory has %q", got)
	}
}

func TestStartMainFailure(t *testing.T) {
	t.Parallel()
	_, _, err := StartMain(WithConfig("no-such-setting", "1"))
	if err == nil || !errors.Is(err, ErrNotInstalled) && !strings.Contains(err.Error(), "no-such-setting") {
		t.Errorf("the log of the server is not in the error: %v", err)
	}
}

func TestStartTimeoutSetting(t *testing.T) {
	t.Setenv("POOLKEEPER_REDIS_START_TIMEOUT", "soon")
	if _, _, err := StartMain(); err == nil || !strings.Contains(err.Error(), "POOLKEEPER_REDIS_START_TIMEOUT") {
		t.Errorf("err = %v", err)
	}
}

// recorder is a testing.TB that only records how the test would end.
type recorder struct {
	testing.TB
	ended string
}

func (r *recorder) Helper()      {}
func (r *recorder) Skip(...any)  { r.ended = "skip"; panic(r) }
func (r *recorder) Fatal(...any) { r.ended = "fatal"; panic(r) }

func TestMissingBinary(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := exec.LookPath("redis-server"); err == nil {
		t.Skip("redis-server is found without PATH")
	}
	for value, want := range map[string]string{"": "skip", "1": "fatal"} {
		t.Setenv(RequireEnv, value)
		r := &recorder{}
		func() {
			defer func() { _ = recover() }()
			requireBinary(r)
		}()
		if r.ended != want {
			t.Errorf("with %s=%q: %q, want %q", RequireEnv, value, r.ended, want)
		}
	}
	if _, _, err := StartMain(); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("StartMain: %v", err)
	}
}
