package redisstore_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// A tap passes connections on and keeps what the client sent. It can break the
// next ones that carry something: the writer id, which only the scripts of a
// lane are given.
type tap struct {
	l      net.Listener
	socket string
	wg     sync.WaitGroup

	dialling atomic.Int64 // what a new connection takes, in nanoseconds

	mu     sync.Mutex
	sent   []*bytes.Buffer
	needle []byte
	cut    string  // one of the cuts of redistest
	left   int     // how often
	cuts   int     // how often it was
	holds  []*held // which requests are to wait, in this order
	*held          // the last of them
}

// A held is one request that is to wait.
type held struct {
	text []byte
	came chan struct{} // closed when it is there
	free chan struct{} // closed when it may go on
}

func startTap(t *testing.T, socket string) *tap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{l: l, socket: socket}
	p.wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.wg.Wait()
	})
	return p
}

func (p *tap) url() string { return "redis://" + p.l.Addr().String() }

// arm breaks the next n requests that hold the needle.
func (p *tap) arm(cut string, n int, needle string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.left, p.needle = cut, n, []byte(needle)
}

// hold makes the next request with a text wait for letGo, after those that are
// to wait already.
func (p *tap) hold(text string) *held {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = &held{[]byte(text), make(chan struct{}), make(chan struct{})}
	p.holds = append(p.holds, p.held)
	return p.held
}

func (h *held) letGo() { close(h.free) }

func (h *held) waitHeld(t *testing.T) {
	t.Helper()
	select {
	case <-h.came:
	case <-time.After(5 * time.Second):
		t.Fatal("the request that is to wait did not come")
	}
}

func (p *tap) holding(chunk []byte) chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.holds) == 0 || !bytes.Contains(chunk, p.holds[0].text) {
		return nil
	}
	h := p.holds[0]
	p.holds = p.holds[1:]
	close(h.came)
	return h.free
}

func (p *tap) counted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

// took notes what a client sent, and says how to break its connection.
func (p *tap) took(buf *bytes.Buffer, chunk []byte) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left != 0 && bytes.Contains(chunk, p.needle) {
		p.left--
		p.cuts++
		return p.cut
	}
	buf.Write(chunk)
	return ""
}

func (p *tap) serve(client net.Conn) {
	defer client.Close()
	time.Sleep(time.Duration(p.dialling.Load()))
	server, err := net.Dial("unix", p.socket)
	if err != nil {
		return
	}
	buf := &bytes.Buffer{}
	p.mu.Lock()
	p.sent = append(p.sent, buf)
	p.mu.Unlock()
	var deliver atomic.Int64 // how much of the next reply; negative: all of it
	deliver.Store(-1)
	p.wg.Go(func() {
		defer client.Close()
		reply := make([]byte, 64<<10)
		for {
			n, err := server.Read(reply)
			if most := deliver.Load(); err == nil && most >= 0 {
				client.Write(reply[:most])
				return
			}
			if _, werr := client.Write(reply[:n]); err != nil || werr != nil {
				return
			}
		}
	})
	defer server.Close()
	chunk := make([]byte, 1<<20)
	for {
		n, err := client.Read(chunk)
		if err != nil {
			return
		}
		if free := p.holding(chunk[:n]); free != nil {
			<-free
		}
		switch p.took(buf, chunk[:n]) {
		case redistest.FaultCutBefore:
			return
		case redistest.FaultCutAfter:
			deliver.Store(0)
		case redistest.FaultCutMid:
			deliver.Store(1)
		}
		if _, err := server.Write(chunk[:n]); err != nil {
			return
		}
	}
}

// replay sends all that was ever sent once more, byte for byte, and waits
// until Redis has answered.
func (p *tap) replay(t *testing.T, socket string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, buf := range p.sent {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan []byte)
		go func() {
			all, _ := io.ReadAll(conn)
			done <- all
		}()
		if _, err := conn.Write(append(bytes.Clone(buf.Bytes()), "*1\r\n$4\r\nQUIT\r\n"...)); err != nil {
			t.Fatal(err)
		}
		if all := <-done; !bytes.HasSuffix(all, []byte("+OK\r\n")) {
			t.Fatalf("the replay was not executed to its end: %q", all[max(0, len(all)-200):])
		}
		conn.Close()
	}
}

// A command of a dead connection that Redis executes only later changes
// nothing: neither counts, nor what somebody else has written meanwhile.
func TestLateCommands(t *testing.T) {
	r := newRig(t)
	tap := startTap(t, r.srv.Socket())
	b := r.open(tap.url())
	token := poolkeeper.TokenKey(poolkeeper.Ref{Type: "kiro", ID: "a"})
	session := putOp(poolkeeper.SessionKey(poolkeeper.SessionName("b")), `{"bearer":"b","session":{}}`)
	session.ExpiresAt = time.Now().Add(time.Hour).UnixMilli()
	for _, op := range []poolkeeper.Op{
		useOp("a", 1), useOp("a", 1), errorOp("b"), poolOp(poolkeeper.OpSuccess, "b"), errorOp("b"),
		defineOp(poolkeeper.OpAddProvider, "d", ""), defineOp(poolkeeper.OpPutProvider, "d", `,"x":1`),
		{Kind: poolkeeper.OpRenameProvider, Key: kiro, ID: "d", NewID: "e"}, poolOp(poolkeeper.OpDeleteProvider, "e"),
		{Kind: poolkeeper.OpReorderPool, Key: kiro, Order: []string{"c", "b", "a"}},
		putOp(token, `{"g":1}`), putOp(token, `{"g":2}`), patchOp(token, `{"h":1}`), putOp(poolkeeper.PasswordKey, "one"), deleteOp(poolkeeper.PasswordKey),
		putOp(poolkeeper.FileKey("configs/f"), "one"), deleteOp(poolkeeper.FileKey("configs/f")), session,
		patchOp(poolkeeper.ConfigKey, `{"b":1}`), replaceOp("a", "b"),
	} {
		r.must(b, op)
	}
	// Meanwhile another instance has written the same keys.
	for _, op := range []poolkeeper.Op{useOp("a", 1), putOp(token, `{"g":3}`), putOp(poolkeeper.PasswordKey, "two"),
		putOp(poolkeeper.FileKey("configs/f"), "two"), deleteOp(session.Key), patchOp(poolkeeper.ConfigKey, `{"b":null}`),
		defineOp(poolkeeper.OpAddProvider, "d", ""), defineOp(poolkeeper.OpAddProvider, "e", "")} {
		r.must(r.b, op)
	}
	before := r.srv.Dump()
	tap.replay(t, r.srv.Socket())
	after := r.srv.Dump()
	for k := range after {
		// Parts of a stage: nobody reads them, and they expire.
		if strings.HasPrefix(k, "t:stage:") && strings.Contains(after[k], " ttl ") {
			delete(after, k)
		}
	}
	for k, v := range after {
		if before[k] != v {
			t.Errorf("%s changed:\n%s\n%s", k, before[k], v)
		}
	}
	for k := range before {
		if _, ok := after[k]; !ok {
			t.Errorf("%s is gone", k)
		}
	}
	// The writer itself goes on as if nothing had been.
	if res := r.must(b, useOp("a", 1)); res.Count != 9 {
		t.Errorf("usageCount %d, want 9", res.Count)
	}
}
