package redisstore_test

import (
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

// A liar stands before a server, and answers scripts with an error of its own.
type liar struct {
	l     net.Listener
	reply atomic.Pointer[string] // nil: it is honest
}

func startLiar(t *testing.T, socket string) *liar {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &liar{l: l}
	var wg sync.WaitGroup
	serve := func(client net.Conn) {
		defer client.Close()
		server, err := net.Dial("unix", socket)
		if err != nil {
			return
		}
		defer server.Close()
		wg.Go(func() {
			defer client.Close()
			buf := make([]byte, 64<<10)
			for {
				n, err := server.Read(buf)
				if err != nil {
					return
				}
				client.Write(buf[:n])
			}
		})
		buf := make([]byte, 64<<10)
		for {
			n, err := client.Read(buf)
			if err != nil {
				return
			}
			if reply := p.reply.Load(); reply != nil && strings.Contains(string(buf[:n]), "EVAL") {
				client.Write([]byte("-" + *reply + "\r\n"))
				continue
			}
			server.Write(buf[:n])
		}
	}
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { serve(client) })
		}
	})
	t.Cleanup(func() { l.Close() })
	return p
}

// steady gives up soon, and each command has its answer, however busy the machine is.
func steady(o *redisstore.Options) {
	o.CommandTimeout, o.RetryFor = 10*time.Second, 300*time.Millisecond
}

// Every class of errors of Redis, by a real server where one can be made to give
// it: what it is to the caller, and that what was surely not applied was not.
func TestErrorClasses(t *testing.T) {
	t.Parallel()
	lie := func(reply string) func(*rig) (*redisstore.Store, func()) {
		return func(r *rig) (*redisstore.Store, func()) {
			p := startLiar(r.T, r.srv.Socket())
			b := r.open("redis://"+p.l.Addr().String(), steady)
			r.must(b, useOp("a", 1))
			p.reply.Store(&reply)
			return b, func() { p.reply.Store(nil) }
		}
	}
	user := func(deny ...string) func(*rig) (*redisstore.Store, func()) {
		return func(r *rig) (*redisstore.Store, func()) {
			allow := []string{"ACL", "SETUSER", "u", "on", ">pw", "~*", "&*", "+@all"}
			r.srv.DoString(allow...)
			b := r.open(withUser(r.T, r.srv.SocketURL(), "u", "pw"), steady)
			r.must(b, useOp("a", 1))
			r.srv.DoString(append([]string{"ACL", "SETUSER", "u"}, deny...)...)
			return b, func() { r.srv.DoString(allow...) }
		}
	}
	const outage, denied, open = "outage", "denied", "open"
	for _, c := range []struct {
		word  string
		class string
		begin func(r *rig) (b *redisstore.Store, end func())
	}{
		{"LOADING", outage, lie("LOADING Redis is loading the dataset in memory")}, // and TestServerIsLoading
		{"READONLY", outage, func(r *rig) (*redisstore.Store, func()) {
			r.srv.DoString("REPLICAOF", "127.0.0.1", "1")
			return r.open(r.srv.SocketURL(), steady), func() { r.srv.DoString("REPLICAOF", "NO", "ONE") }
		}},
		{"MASTERDOWN", outage, func(r *rig) (*redisstore.Store, func()) {
			b := r.open(r.srv.SocketURL(), steady)
			r.must(b, useOp("a", 1))
			r.srv.ConfigSet("replica-serve-stale-data", "no")
			r.srv.DoString("REPLICAOF", "127.0.0.1", "1")
			return b, func() { r.srv.DoString("REPLICAOF", "NO", "ONE") }
		}},
		{"CLUSTERDOWN", outage, lie("CLUSTERDOWN The cluster is down")},
		{"TRYAGAIN", outage, lie("TRYAGAIN Multiple keys request during rehashing of slot")},
		{"MOVED", outage, lie("MOVED 1 127.0.0.1:1")},
		{"ASK", outage, lie("ASK 1 127.0.0.1:1")},
		{"BUSY", outage, func(r *rig) (*redisstore.Store, func()) {
			b := r.open(r.srv.SocketURL(), func(o *redisstore.Options) { o.CommandTimeout, o.RetryFor = time.Second, time.Second })
			r.must(b, useOp("a", 1))
			r.srv.ConfigSet("busy-reply-threshold", "1")
			conn, err := net.Dial("unix", r.srv.Socket())
			if err != nil {
				r.Fatal(err)
			}
			conn.Write([]byte("EVAL \"while true do end\" 0\r\n"))
			time.Sleep(100 * time.Millisecond)
			return b, func() { r.srv.DoString("SCRIPT", "KILL"); conn.Close() }
		}},
		{"OOM", outage, func(r *rig) (*redisstore.Store, func()) {
			r.srv.ConfigSet("maxmemory", "1")
			return r.open(r.srv.SocketURL(), steady), func() { r.srv.ConfigSet("maxmemory", "0") }
		}},
		{"MISCONF", outage, lie("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.")}, // and TestServerRefusesWrites
		{"NOREPLICAS", outage, func(r *rig) (*redisstore.Store, func()) {
			r.srv.ConfigSet("min-replicas-to-write", "1")
			return r.open(r.srv.SocketURL(), steady), func() { r.srv.ConfigSet("min-replicas-to-write", "0") }
		}},
		{"cannot be reached", outage, func(r *rig) (*redisstore.Store, func()) {
			b := r.open(r.srv.SocketURL(), steady)
			r.srv.DoString("SAVE")
			r.srv.Kill()
			for range 5 { // the connections that it has find out that they are gone
				b.Info(r.Context())
			}
			return b, r.srv.Restart
		}},
		{"WRONGPASS", denied, lie("WRONGPASS invalid username-password pair or user is disabled.")}, // and TestCredentialsRefused
		{"NOAUTH", denied, lie("NOAUTH Authentication required.")},
		{"NOPERM", denied, user("-evalsha", "-eval")},
		{"another type", "own", func(r *rig) (*redisstore.Store, func()) {
			state := "t:state:{" + rigPool + "}"
			r.srv.DoInt("DEL", state)
			r.srv.DoString("SET", state, "x")
			return r.open(r.srv.SocketURL(), steady), func() { r.srv.DoInt("DEL", state) }
		}},
		{"no answer", open, func(r *rig) (*redisstore.Store, func()) { // a timeout
			b := r.open(r.srv.SocketURL(), impatient)
			r.must(b, useOp("a", 1))
			r.srv.Pause()
			return b, r.srv.Resume
		}},
		{"no answer", open, func(r *rig) (*redisstore.Store, func()) { // cut after it was sent
			p, b := r.proxied(impatient)
			r.must(b, useOp("a", 1))
			p.CutAfterRequest(-1, "EVALSHA")
			return b, p.Clear
		}},
		{"something else", "fault", lie("ERR something else")},
	} {
		t.Run(c.word+" "+c.class, func(t *testing.T) {
			r := newRig(t)
			b, end := c.begin(r)
			res := r.try(b, useOp("b", 1))
			want := map[string]error{outage: poolkeeper.ErrUnavailable, denied: poolkeeper.ErrForbidden, "own": poolkeeper.ErrDamaged,
				open: poolkeeper.ErrIndeterminate, "fault": poolkeeper.ErrInternal}[c.class]
			if !errors.Is(res.Err, want) || !strings.Contains(res.Err.Error(), c.word) {
				t.Errorf("error %v, want %v that names %s", res.Err, want, c.word)
			}
			end()
			counted := "1"
			if c.class == open { // it is found out what became of it, and nothing goes before it
				counted = "2"
			}
			eventually(t, "it goes on", func() bool { return r.try(b, useOp("b", 1)).Err == nil })
			if got := r.usageOf("b"); got != counted {
				t.Errorf("the counter is %s, want %s", got, counted)
			}
		})
	}
	// The table for people has them all.
	doc, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "BUSY", "OOM", "MISCONF", "NOREPLICAS", "WRONGPASS", "NOAUTH", "NOPERM", "WRONGTYPE"} {
		if !strings.Contains(string(doc), "`"+word+"`") {
			t.Errorf("docs/operations.md does not have %s", word)
		}
	}
}
