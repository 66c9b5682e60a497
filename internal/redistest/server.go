package redistest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// ErrNotInstalled is returned by [StartMain] when redis-server is not on PATH.
var ErrNotInstalled = errors.New("redistest: redis-server is not on PATH: install redis-server, e.g. apt-get install redis-server")

// RequireEnv is the variable that turns a skip for want of redis-server into a
// failure.
const RequireEnv = "POOLKEEPER_REQUIRE_REDIS"

// Server is one redis-server process. Its methods may be used by several
// goroutines at once.
type Server struct {
	bin      string
	port     int
	busPort  int
	runDir   string // configuration, socket, log
	dir      string // data
	socket   string
	sentinel bool
	tls      *tlsMaterial
	password string
	fail     failer
	client   client

	mu   sync.Mutex // guards proc and the changes of its state
	proc *process
}

// Start starts a server and waits until it answers. It is killed and its files
// are removed at the cleanup of tb.
func Start(tb testing.TB, opts ...Option) *Server {
	tb.Helper()
	requireBinary(tb)
	s, err := startBounded(newConfig(opts))
	if err != nil {
		tb.Fatal(err)
	}
	s.attach(tb)
	return s
}

// StartMain is [Start] without a test, for TestMain, benchmarks and commands.
// The function that it returns kills the server and removes its files.
func StartMain(opts ...Option) (*Server, func(), error) {
	s, err := startBounded(newConfig(opts))
	if err != nil {
		return nil, nil, err
	}
	return s, s.close, nil
}

// attach ties the life and the failures of s to tb.
func (s *Server) attach(tb testing.TB) {
	s.fail.tb = tb
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("log of redis-server on %s:\n%s", s.Addr(), s.Log())
		}
		s.close()
	})
}

// requireBinary skips or fails tb when there is no redis-server.
func requireBinary(tb testing.TB) {
	tb.Helper()
	if _, err := exec.LookPath("redis-server"); err == nil {
		return
	}
	if os.Getenv(RequireEnv) != "" {
		tb.Fatal(ErrNotInstalled)
	}
	tb.Skip(ErrNotInstalled)
}

// startTimeout bounds the start of one server or group.
func startTimeout() (time.Duration, error) {
	const name = "POOLKEEPER_REDIS_START_TIMEOUT"
	v := os.Getenv(name)
	if v == "" {
		return 15 * time.Second, nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("redistest: %s must be a positive duration such as 30s, not %q", name, v)
	}
	return d, nil
}

func startBounded(cfg *config) (*Server, error) {
	d, err := startTimeout()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return start(ctx, cfg)
}

// start starts a server. ctx bounds the start only.
func start(ctx context.Context, cfg *config) (*Server, error) {
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, ErrNotInstalled
	}
	s := &Server{bin: bin, sentinel: cfg.role == roleSentinel, password: cfg.password}
	if s.runDir, err = socketDir(); err != nil {
		return nil, err
	}
	if err = s.prepare(cfg); err == nil {
		err = s.firstStart(ctx, cfg)
	}
	if err != nil {
		err = fmt.Errorf("redistest: start redis-server: %w\n%s", err, s.Log())
		s.close()
		return nil, err
	}
	return s, nil
}

// socketDir makes a directory whose path is short enough for a socket.
func socketDir() (string, error) {
	dir, err := os.MkdirTemp("", "pk-redis-")
	if err != nil || len(dir) < 90 {
		return dir, err
	}
	if err := os.Remove(dir); err != nil {
		return "", err
	}
	return os.MkdirTemp("/tmp", "pk-redis-")
}

func (s *Server) prepare(cfg *config) (err error) {
	s.socket = filepath.Join(s.runDir, "s")
	s.client.socket = s.socket
	s.dir = cfg.dir
	if s.dir == "" {
		s.dir = filepath.Join(s.runDir, "data")
		if err := os.Mkdir(s.dir, 0o700); err != nil {
			return err
		}
	}
	s.tls = cfg.material
	if s.tls == nil && cfg.replicaOf != nil {
		s.tls = cfg.replicaOf.tls
	}
	if s.tls == nil && cfg.tls {
		if s.tls, err = newTLSMaterial(); err != nil {
			return err
		}
	}
	if s.tls != nil {
		// Each server has its own copy: the one it came from may end first.
		s.tls, err = s.tls.writeTo(s.runDir)
	}
	return err
}

// firstStart picks ports until the server gets them, and waits for it.
func (s *Server) firstStart(ctx context.Context, cfg *config) error {
	var last error
	for range 5 {
		var err error
		if s.port, err = freePort(); err != nil {
			return err
		}
		if cfg.role == roleCluster {
			if s.busPort, err = freePort(); err != nil {
				return err
			}
		}
		if err := s.writeConf(cfg); err != nil {
			return err
		}
		last = s.launch(ctx)
		if last == nil {
			if cfg.replicaOf != nil {
				return s.waitSynced(ctx, cfg.replicaOf)
			}
			return nil
		}
		if !errors.Is(last, errExited) || ctx.Err() != nil {
			return last
		}
	}
	return last
}

// errExited says that the process ended before it answered.
var errExited = errors.New("the process ended before it answered")

// launch starts the process and waits until it answers. The caller holds mu or
// is the only one to know s.
func (s *Server) launch(ctx context.Context) error {
	// A killed process leaves its socket behind.
	if err := os.Remove(s.socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	p, err := startProcess(s.bin, s.confFile(), s.logFile(), s.sentinel)
	if err != nil {
		return err
	}
	if err := s.waitAnswer(ctx, p); err != nil {
		p.kill()
		s.client.drop()
		return err
	}
	s.proc = p
	return nil
}

// waitAnswer waits for PONG on the socket. Nobody else can answer there, as
// somebody might on the port.
func (s *Server) waitAnswer(ctx context.Context, p *process) error {
	for {
		reply, err := s.Do("PING")
		if err == nil && reply == "PONG" {
			return nil
		}
		select {
		case <-p.done:
			return errExited
		case <-ctx.Done():
			return fmt.Errorf("no PONG: %w (last: %v)", ctx.Err(), err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// waitSynced waits until a replica has the data of its master and the master
// streams to it. The master may still hold back writes when the replica
// already takes the link for up, and would lose them in a failover.
func (s *Server) waitSynced(ctx context.Context, master *Server) error {
	return poll(ctx, "the replica has no link to its master", func() bool {
		info, err := s.info("replication")
		if err != nil || info["master_link_status"] != "up" {
			return false
		}
		if info, err = master.info("replication"); err != nil {
			return false
		}
		for k, v := range info {
			if strings.HasPrefix(k, "slave") && strings.Contains(v, fmt.Sprintf(",port=%d,state=online,", s.port)) {
				return true
			}
		}
		return false
	})
}

// poll calls ok until it is true, or ctx ends and what names the failure.
func poll(ctx context.Context, what string, ok func() bool) error {
	for !ok() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// close kills the process and removes its files.
func (s *Server) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		s.proc.kill()
	}
	s.client.drop()
	_ = os.RemoveAll(s.runDir)
}

func (s *Server) confFile() string { return filepath.Join(s.runDir, "redis.conf") }
func (s *Server) logFile() string  { return filepath.Join(s.runDir, "log") }

// Log returns what the server wrote, at most the last 64 KiB.
func (s *Server) Log() string {
	b, err := os.ReadFile(s.logFile())
	if err != nil {
		return ""
	}
	return string(b[max(0, len(b)-64<<10):])
}

// Addr returns host:port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Port returns the TCP port, the TLS one of a server with TLS.
func (s *Server) Port() int { return s.port }

// Socket returns the path of the unix socket, on which TLS is never spoken.
func (s *Server) Socket() string { return s.socket }

// Dir returns the directory of the data files.
func (s *Server) Dir() string { return s.dir }

// URL returns redis:// or rediss:// with the password of [WithPassword].
func (s *Server) URL() string { return s.url(s.password, nil) }

// SocketURL returns the unix:// form.
func (s *Server) SocketURL() string {
	u := url.URL{Scheme: "unix", Path: s.socket, User: userinfo(s.password)}
	return u.String()
}

func (s *Server) url(password string, q url.Values) string {
	u := url.URL{Scheme: "redis", Host: s.Addr(), User: userinfo(password), RawQuery: q.Encode()}
	if s.tls != nil {
		u.Scheme = "rediss"
	}
	return u.String()
}

func userinfo(password string) *url.Userinfo {
	if password == "" {
		return nil
	}
	return url.UserPassword("", password)
}

// CAFile returns the path of the CA certificate, "" without TLS. It is removed
// with the server.
func (s *Server) CAFile() string {
	if s.tls == nil {
		return ""
	}
	return s.tls.caFile
}

// CertFiles returns the paths of a certificate of that CA, which is good for a
// client too, and of its key. They are removed with the server.
func (s *Server) CertFiles() (cert, key string) {
	if s.tls == nil {
		return "", ""
	}
	return s.tls.certFile, s.tls.keyFile
}

// TLSConfig returns a client configuration that trusts the server, nil without
// TLS. The caller owns it.
func (s *Server) TLSConfig() *tls.Config {
	if s.tls == nil {
		return nil
	}
	return s.tls.clientConfig()
}
