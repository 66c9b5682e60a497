package redistest

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
)

// Proxy stands between clients and a server and breaks connections at chosen
// points of a command. It frames RESP2 and RESP3, pipelines and subscriptions;
// it does not understand TLS, MONITOR, PSYNC and CLIENT REPLY.
//
// Every connection of a client gets one of its own to the upstream.
type Proxy struct {
	network, upstream string

	listener net.Listener
	ctx      context.Context // of the proxy's own work; ended by Close
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	mu        sync.Mutex
	conns     map[*proxyConn]struct{}
	faults    faultState
	blackhole bool
	refuse    bool
	closed    bool
}

// StartProxy starts a proxy in front of upstream, a host:port or the path of a
// unix socket, which need not be there yet. The cleanup of tb closes it.
func StartProxy(tb testing.TB, upstream string) *Proxy {
	tb.Helper()
	p, err := NewProxy(upstream)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(p.Close)
	return p
}

// NewProxy is [StartProxy] without a test; the caller must call Close.
func NewProxy(upstream string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{network: "tcp", upstream: upstream, listener: l, conns: map[*proxyConn]struct{}{}}
	if path := strings.TrimPrefix(upstream, "unix://"); strings.HasPrefix(path, "/") {
		p.network, p.upstream = "unix", path
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.faults.counts = map[string]int64{}
	p.faults.set(Faults{})
	p.wg.Go(p.accept)
	return p, nil
}

// Addr returns the host:port on which the proxy listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// URL returns redis://host:port. A password is the caller's to add.
func (p *Proxy) URL() string { return "redis://" + p.Addr() }

// Close ends the proxy with all connections and waits for its goroutines.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	_ = p.listener.Close()
	p.DropAll()
	p.wg.Wait()
}

// DropAll drops all connections that are open now.
func (p *Proxy) DropAll() {
	p.dropIf(func(*proxyConn) bool { return true })
}

func (p *Proxy) dropIf(f func(*proxyConn) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if f(c) {
			c.close()
		}
	}
}

// Blackhole makes the proxy accept connections and commands and never answer;
// what it reads is not forwarded. Connections from which something was lost
// that way are dropped when it ends.
func (p *Proxy) Blackhole(on bool) {
	p.mu.Lock()
	p.blackhole = on
	p.mu.Unlock()
	if !on {
		p.dropIf(func(c *proxyConn) bool { return c.holed.Load() })
	}
}

// Refuse makes the proxy close new connections at once. Open ones go on; see
// [Proxy.DropAll].
func (p *Proxy) Refuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = on
}

// Down makes the server look gone: open connections are dropped and new ones
// closed at once, until [Proxy.Up].
func (p *Proxy) Down() {
	p.Refuse(true)
	p.DropAll()
}

// Up ends [Proxy.Down].
func (p *Proxy) Up() { p.Refuse(false) }

func (p *Proxy) holing() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.blackhole
}

func (p *Proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.admit(conn)
	}
}

func (p *Proxy) admit(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse {
		// Counted before the client can see it.
		p.faults.counts[FaultRefuse]++
	}
	if p.closed || p.refuse {
		_ = conn.Close()
		return
	}
	c := newProxyConn(p, conn)
	c.holed.Store(p.blackhole)
	p.conns[c] = struct{}{}
	p.wg.Go(func() {
		c.run()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, c)
	})
}
