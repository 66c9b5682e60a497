package client

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// Connections of a client. An idle one is given up here before the service, which
// waits for two minutes, gives it up: a request would cross its end.
const (
	maxConns    = 256
	idleTimeout = 90 * time.Second
	dialTimeout = 5 * time.Second
)

// aim makes ready for a service.
func (c *Client) aim(target string) error {
	u, err := url.Parse(target)
	if err != nil {
		return badTarget() // what was given may hold a password
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	t := &http.Transport{
		DialContext:         dialer.DialContext,
		TLSClientConfig:     c.opts.TLS,
		TLSHandshakeTimeout: dialTimeout,
		MaxConnsPerHost:     maxConns,
		MaxIdleConnsPerHost: maxConns,
		IdleConnTimeout:     idleTimeout,
		DisableCompression:  true,
	}
	switch {
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return badTarget()
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && strings.Trim(u.Path, "/") == "":
		c.target = u.Scheme + "://" + u.Host
		c.base = c.target + "/api/v1"
	case u.Scheme == "unix" && u.Host == "" && strings.HasPrefix(u.Path, "/") && u.Path != "/":
		c.target, c.base = "unix://"+u.Path, "http://localhost/api/v1"
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", u.Path)
		}
	default:
		return badTarget()
	}
	c.http = &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return nil
}

func badTarget() error {
	return poolkeeper.Errorf(poolkeeper.ErrInvalid, "the URL of the service is not http://HOST:PORT, https://HOST:PORT or unix:///PATH").
		WithHint("the API key is no part of it, and neither is /api/v1")
}
