package redistest

import (
	"bufio"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// drainTimeout bounds the wait for the replies to earlier commands before a
// connection is dropped.
const drainTimeout = 500 * time.Millisecond

// proxyConn is one connection of a client and its counterpart.
type proxyConn struct {
	p      *Proxy
	client net.Conn
	done   chan struct{} // closed with the connection
	once   sync.Once
	holed  atomic.Bool // it has lost something to the black hole

	mu      sync.Mutex
	server  net.Conn      // nil until dialled
	queue   []pending     // forwarded and not yet answered, in order
	drained chan struct{} // closed when queue is empty, if somebody waits
	resp3   bool
	listens bool // it has subscribed to something
}

// pending is a forwarded command whose reply is due.
type pending struct {
	plan
	came time.Time
	subs int // channels still to be confirmed, of a subscription
}

func newProxyConn(p *Proxy, client net.Conn) *proxyConn {
	return &proxyConn{p: p, client: client, done: make(chan struct{})}
}

// close drops both sides; it may be called several times.
func (c *proxyConn) close() {
	c.once.Do(func() {
		close(c.done)
		_ = c.client.Close()
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.server != nil {
			_ = c.server.Close()
		}
	})
}

func (c *proxyConn) run() {
	defer c.close()
	if c.holed.Load() {
		c.requests()
		return
	}
	var d net.Dialer
	server, err := d.DialContext(c.p.ctx, c.p.network, c.p.upstream)
	if err != nil {
		return
	}
	c.mu.Lock()
	c.server = server
	c.mu.Unlock()
	select {
	case <-c.done: // closed while dialling
		_ = server.Close()
		return
	default:
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		defer c.close()
		c.replies()
	})
	c.requests()
	c.close()
	wg.Wait()
}

// requests forwards what the client sends.
func (c *proxyConn) requests() {
	r := bufio.NewReader(c.client)
	for {
		q, err := readRequest(r)
		if err != nil {
			c.drain()
			return
		}
		if c.holed.Load() || c.p.holing() {
			c.holed.Store(true)
			c.p.count(FaultBlackhole)
			continue
		}
		pd := pending{plan: c.p.plan(q.name), came: time.Now()}
		if strings.HasSuffix(q.name, "SUBSCRIBE") {
			pd.subs = max(1, q.args)
		}
		if pd.cut == FaultCutBefore {
			c.drain()
			c.p.count(FaultCutBefore)
			return
		}
		c.push(q, pd)
		if _, err := c.server.Write(q.raw); err != nil {
			return
		}
	}
}

func (p *Proxy) plan(name string) plan {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults.decide(name)
}

// push notes a command before it is forwarded.
func (c *proxyConn) push(q request, pd pending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case q.name == "":
		return // an empty line has no reply
	case q.name == "HELLO" && q.args > 0:
		c.resp3 = q.arg == "3"
	case pd.subs > 0:
		c.listens = true
	}
	c.queue = append(c.queue, pd)
}

// drain waits until all that was forwarded is answered.
func (c *proxyConn) drain() {
	c.mu.Lock()
	if len(c.queue) == 0 {
		c.mu.Unlock()
		return
	}
	drained := make(chan struct{})
	c.drained = drained
	c.mu.Unlock()
	t := time.NewTimer(drainTimeout)
	defer t.Stop()
	select {
	case <-drained:
	case <-c.done:
	case <-t.C:
	}
}

// replies delivers what the upstream sends.
func (c *proxyConn) replies() {
	r := bufio.NewReader(c.server)
	for raw := []byte(nil); ; {
		var err error
		if raw, err = appendValue(raw[:0], r); err != nil {
			return
		}
		if c.p.holing() {
			c.holed.Store(true)
			continue
		}
		pd, due := c.match(raw)
		if !due {
			if _, err := c.client.Write(raw); err != nil {
				return
			}
			continue
		}
		if !c.answer(raw, pd) {
			return
		}
		c.pop()
	}
}

// answer delivers the reply of a command, or not, as planned. It reports
// whether the connection goes on.
func (c *proxyConn) answer(raw []byte, pd pending) bool {
	if pd.cut == FaultCutAfter {
		c.p.count(FaultCutAfter)
		return false
	}
	if pd.delay > 0 {
		t := time.NewTimer(time.Until(pd.came.Add(pd.delay)))
		defer t.Stop()
		select {
		case <-t.C:
			c.p.count(FaultDelay)
		case <-c.done:
			return false
		}
	}
	if pd.cut == FaultCutMid {
		// At least one byte is delivered and at least one is not.
		n := 1 + int(pd.at*float64(len(raw)-1))
		if _, err := c.client.Write(raw[:n]); err == nil {
			c.p.count(FaultCutMid)
		}
		return false
	}
	_, err := c.client.Write(raw)
	return err == nil
}

var confirmations = []string{"subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe"}
var messages = []string{"message", "pmessage", "smessage"}

// match returns the command to which raw is the reply; it is none when the
// server sends raw by itself. The command stays in the queue until pop.
func (c *proxyConn) match(raw []byte) (pending, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	push := raw[0] == '>'
	if push || c.listens && !c.resp3 && raw[0] == '*' {
		kind := firstElement(raw)
		if len(c.queue) > 0 && c.queue[0].subs > 0 && slices.Contains(confirmations, kind) {
			if c.queue[0].subs--; c.queue[0].subs == 0 {
				c.popLocked()
			}
			return pending{}, false
		}
		// RESP2 has no type of its own for these.
		if push || slices.Contains(messages, kind) || slices.Contains(confirmations, kind) {
			return pending{}, false
		}
	}
	if len(c.queue) == 0 {
		return pending{}, false
	}
	if c.queue[0].subs > 0 {
		// An error: the server has refused the subscription.
		return pending{}, true
	}
	return c.queue[0], true
}

func (c *proxyConn) pop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.popLocked()
}

func (c *proxyConn) popLocked() {
	c.queue = c.queue[1:]
	if len(c.queue) == 0 && c.drained != nil {
		close(c.drained)
		c.drained = nil
	}
}
