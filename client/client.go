package client

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

var _ poolkeeper.Backend = (*Client)(nil)

// Options of a Client. A nil *Options means all defaults.
type Options struct {
	// Timeout bounds one attempt to have ops applied; 30 s where it is 0. What
	// has no end of its own, such as reading everything, ends with its context.
	Timeout time.Duration
	// RetryFor is how long what can be tried again is; 5 s where it is 0.
	RetryFor time.Duration
	// TLS is the configuration for https URLs.
	TLS *tls.Config
}

// A Client is a [poolkeeper.Backend] over HTTP. It may be used from any number of
// goroutines.
type Client struct {
	base   string // of all paths
	target string // for people
	key    string // the value of the Authorization header
	opts   Options
	http   *http.Client
	writer string        // begins the idempotency keys of this client
	number atomic.Uint64 // ends them

	life context.Context // ends when Close begins
	die  context.CancelFunc
	idle time.Duration // eventIdle, but for tests

	mu     sync.RWMutex // held for reading by calls under way
	closed bool
}

// New returns a client of the service at a URL: http://HOST:PORT, https://…, or
// unix:///PATH for its socket. The key is what the service was given or made; it
// is never part of an error or a URL. Nothing is sent before the first call.
func New(url, key string, opts *Options) (*Client, error) {
	c := &Client{key: "Bearer " + key, writer: newWriter(), idle: eventIdle}
	if opts != nil {
		c.opts = *opts
	}
	if c.opts.Timeout <= 0 {
		c.opts.Timeout = 30 * time.Second
	}
	if c.opts.RetryFor <= 0 {
		c.opts.RetryFor = 5 * time.Second
	}
	if err := checkKey(key); err != nil {
		return nil, err
	}
	if err := c.aim(url); err != nil {
		return nil, err
	}
	c.life, c.die = context.WithCancel(context.Background())
	return c, nil
}

func newWriter() string {
	b := make([]byte, 12)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// checkKey refuses a key that no header can carry, without showing it.
func checkKey(key string) error {
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return poolkeeper.Errorf(poolkeeper.ErrInvalid, "the API key has white space, or what is not ASCII").
				WithHint("read it without the line end of its file")
		}
	}
	if key == "" {
		return poolkeeper.Errorf(poolkeeper.ErrUnauthorized, "there is no API key").WithHint("give the one of the service")
	}
	return nil
}

// enter begins a call, which Close waits for.
func (c *Client) enter() error {
	c.mu.RLock()
	if c.closed {
		c.mu.RUnlock()
		return poolkeeper.Errorf(poolkeeper.ErrClosed, "client is closed")
	}
	return nil
}

func (c *Client) leave() { c.mu.RUnlock() }

// Close waits for the calls under way and gives up the connections. The service
// goes on.
func (c *Client) Close() error {
	c.die()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.http.CloseIdleConnections()
	return nil
}

// Info describes the store as the service does, and under "service" where that
// is. A service that cannot be asked is described as not ready.
func (c *Client) Info(ctx context.Context) (poolkeeper.Info, error) {
	if err := c.enter(); err != nil {
		return poolkeeper.Info{}, err
	}
	defer c.leave()
	var info poolkeeper.Info
	err := c.read(ctx, http.MethodGet, "/status", nil, decodeInto(&info))
	switch {
	case ctx.Err() != nil:
		return poolkeeper.Info{}, ctx.Err()
	case err != nil:
		info = poolkeeper.Info{Backend: "service", Problem: err.Error()}
	}
	if info.Details == nil {
		info.Details = map[string]string{}
	}
	info.Details["service"] = c.target
	return info, nil
}
