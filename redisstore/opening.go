package redisstore

import (
	"context"
	"crypto/tls"
	"net"
	"sync"

	"github.com/redis/rueidis"
)

// tied has the connections of a client end with a context, until end is
// called: the client dials and greets under its own timeouts only, and in a server
// that accepts and does not answer that is a long time. Once the context has ended
// those that were made are closed and no more are; end says so then, and leaves the
// connections alone otherwise. heard, where it is not nil, is told of what arrives. The
// options have a DialCtxFn.
func tied(ctx context.Context, o *rueidis.ClientOption, heard func()) (end func() error) {
	var mu sync.Mutex
	var conns []net.Conn
	var over bool
	life, cut := context.WithCancel(context.Background())
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		if over {
			return
		}
		cut()
		for _, c := range conns {
			c.Close()
		}
		conns = nil
	})
	dial := o.DialCtxFn
	o.DialCtxFn = func(ctx context.Context, addr string, d *net.Dialer, conf *tls.Config) (net.Conn, error) {
		mu.Lock()
		free := over
		mu.Unlock()
		if free {
			return dial(ctx, addr, d, conf)
		}
		ctx, ended := context.WithCancel(ctx)
		defer ended()
		defer context.AfterFunc(life, ended)()
		c, err := dial(ctx, addr, d, conf)
		if err != nil {
			return nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		switch {
		case life.Err() != nil:
			c.Close()
			return nil, life.Err()
		case !over:
			conns = append(conns, c)
		}
		if heard != nil {
			c = heardConn{c, heard}
		}
		return c, nil
	}
	return func() error {
		stop()
		mu.Lock()
		defer mu.Unlock()
		over, conns = true, nil
		if life.Err() != nil {
			return ctx.Err()
		}
		return nil
	}
}

// A heardConn tells whenever something arrives.
type heardConn struct {
	net.Conn
	heard func()
}

func (c heardConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard()
	}
	return n, err
}
