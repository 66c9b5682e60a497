package redisstore_test

import (
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// A crossing forwards connections to one server, and after it was switched new
// ones to another: open ones stay, as behind a name or address that moves.
type crossing struct {
	net.Listener
	to atomic.Value
}

func newCrossing(t *testing.T, to string) *crossing {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &crossing{Listener: l}
	c.to.Store(to)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", c.to.Load().(string))
			if err != nil {
				in.Close()
				continue
			}
			for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
				go func() {
					io.Copy(pair[0], pair[1])
					in.Close()
					out.Close()
				}()
			}
		}
	}()
	return c
}

// A watch whose server is no longer the one that is written to would hear
// nothing, and be asked and answer for ever.
func TestWatchLeavesAFormerPrimary(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	follower := redistest.Start(t, redistest.WithReplicaOf(r.srv))
	c := newCrossing(t, r.srv.Addr())
	b := r.open("redis://"+c.Addr().String(), quick)
	s := spyOn(t, b)
	c.to.Store(follower.Addr())
	follower.DoString("REPLICAOF", "NO", "ONE")
	r.srv.DoInt("CLIENT", "KILL", "TYPE", "normal") // the subscription stays
	s.ends(poolkeeper.ErrUnavailable)
}
