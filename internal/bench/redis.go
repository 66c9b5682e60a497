package bench

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// SlowScript is how long a script may take a Redis of our own before it is counted
// by [Side.SlowScripts].
const SlowScript = 5 * time.Millisecond

// A Redis is a redis-server of our own, without persistence.
type Redis struct {
	cmd *exec.Cmd
	dir string
	out bytes.Buffer
	// URL is where it listens: a free port of 127.0.0.1.
	URL string
	end chan struct{} // closed when the process has ended
}

// StartRedis starts the redis-server on the PATH and waits until it answers.
// Close must be called.
func StartRedis(ctx context.Context) (*Redis, error) {
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, poolkeeper.Errorf(poolkeeper.ErrUnavailable, "there is no redis-server on the PATH to measure with").
			WithHint("install Redis, or give --redis-url")
	}
	for try := 0; ; try++ {
		r, err := startRedis(ctx, bin)
		// A free port may be taken by somebody else before it is used.
		if err == nil || try == 2 || ctx.Err() != nil {
			return r, err
		}
	}
}

func startRedis(ctx context.Context, bin string) (*Redis, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, poolkeeper.Errorf(poolkeeper.ErrUnavailable, "no free port: %v", err)
	}
	addr := ln.Addr().(*net.TCPAddr)
	ln.Close()
	dir, err := os.MkdirTemp("", "poolkeeper-bench-")
	if err != nil {
		return nil, poolkeeper.Errorf(poolkeeper.ErrUnavailable, "%v", err)
	}
	r := &Redis{dir: dir, URL: "redis://" + addr.String() + "/0", end: make(chan struct{})}
	conf := filepath.Join(dir, "redis.conf")
	text := "bind 127.0.0.1\nport " + strconv.Itoa(addr.Port) + "\nsave \"\"\nappendonly no\ndaemonize no\ndir " + strconv.Quote(dir) +
		"\nslowlog-log-slower-than " + strconv.FormatInt(SlowScript.Microseconds(), 10) + "\nslowlog-max-len 100000\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		os.RemoveAll(dir)
		return nil, poolkeeper.Errorf(poolkeeper.ErrUnavailable, "%v", err)
	}
	r.cmd = exec.Command(bin, conf)
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.out
	if err := r.cmd.Start(); err != nil {
		os.RemoveAll(dir)
		return nil, poolkeeper.Errorf(poolkeeper.ErrUnavailable, "redis-server does not start: %v", err)
	}
	go func() {
		r.cmd.Wait()
		close(r.end)
	}()
	if err := r.wait(ctx, addr.String()); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// wait returns once the server accepts connections.
func (r *Redis) wait(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		if c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr); err == nil {
			c.Close()
			return nil
		}
		select {
		case <-r.end:
			out := bytes.TrimSpace(r.out.Bytes())
			return poolkeeper.Errorf(poolkeeper.ErrUnavailable, "redis-server ended at once: %s", out[bytes.LastIndexByte(out, '\n')+1:])
		case <-ctx.Done():
			return poolkeeper.Errorf(poolkeeper.ErrUnavailable, "redis-server did not answer within 10 s")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Close stops the server and removes what it left behind.
func (r *Redis) Close() {
	r.cmd.Process.Kill() // it has nothing to save
	<-r.end
	os.RemoveAll(r.dir)
}
