package redisstore

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/bits"
	"net"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/poolkeeper/poolkeeper"
	"github.com/redis/rueidis"
)

var _ poolkeeper.Meter = (*Store)(nil)

// tally counts what the lanes do. It is touched once for each batch, never for
// each op.
type tally struct {
	batches     [len(poolkeeper.BatchBounds) + 1]atomic.Uint64
	ops         atomic.Uint64
	resent      atomic.Uint64
	connections atomic.Int64
	dialed      atomic.Pointer[chan struct{}] // told of each new connection
}

// batch counts a batch of n ops: the bounds are the powers of two.
func (t *tally) batch(n int) {
	t.batches[min(bits.Len(uint(n-1)), len(t.batches)-1)].Add(1)
	t.ops.Add(uint64(n))
}

// Measure implements poolkeeper.Meter.
func (s *Store) Measure(ctx context.Context) poolkeeper.Measures {
	m := poolkeeper.Measures{Connections: s.tally.connections.Load(), Resent: s.tally.resent.Load()}
	m.Batches.Ops = s.tally.ops.Load()
	for i := range s.tally.batches {
		m.Batches.Counts[i] = s.tally.batches[i].Load()
	}
	s.lanes.Range(func(_, v any) bool {
		l := v.(*lane)
		if l.flying.Load() > 0 && (l.incoming.Load() != nil || l.left.Load() > 0) {
			m.LanesWaiting++
		}
		return true
	})
	if s.enter() == nil {
		defer s.leave()
		m.Size = s.size(ctx)
	}
	return m
}

// size asks Redis how much there is; nil where it does not say.
func (s *Store) size(ctx context.Context) *poolkeeper.Size {
	types, err := s.readTypes(ctx)
	if err != nil {
		return nil
	}
	size := &poolkeeper.Size{Pools: int64(len(types))}
	cmds := make(rueidis.Commands, len(types))
	for i, typ := range types {
		cmds[i] = s.client.B().Hlen().Key(s.pool(typ)).Build()
	}
	for _, res := range s.client.DoMulti(ctx, cmds...) {
		n, err := res.AsInt64()
		if err != nil {
			return nil
		}
		size.Providers += n
	}
	if s.cluster {
		return size // each of its nodes has a memory of its own
	}
	info, err := s.client.Do(ctx, s.client.B().Info().Section("memory").Build()).ToString()
	if err != nil {
		return size
	}
	for line := range strings.Lines(info) {
		for name, to := range map[string]*int64{"used_memory:": &size.UsedBytes, "maxmemory:": &size.MaxBytes} {
			if rest, ok := strings.CutPrefix(line, name); ok {
				fmt.Sscan(rest, to) // what is no number leaves 0: unknown
			}
		}
	}
	return size
}

// counted makes a client count its connections.
func (t *tally) counted(o *rueidis.ClientOption) {
	dial := o.DialCtxFn
	if dial == nil {
		dial = func(ctx context.Context, addr string, d *net.Dialer, conf *tls.Config) (net.Conn, error) {
			if conf != nil {
				return (&tls.Dialer{NetDialer: d, Config: conf}).DialContext(ctx, "tcp", addr)
			}
			return d.DialContext(ctx, "tcp", addr)
		}
	}
	o.DialCtxFn = func(ctx context.Context, addr string, d *net.Dialer, conf *tls.Config) (net.Conn, error) {
		c, err := dial(ctx, addr, d, conf)
		if err != nil {
			return nil, err
		}
		t.connections.Add(1)
		if told := t.dialed.Load(); told != nil {
			select {
			case *told <- struct{}{}:
			default:
			}
		}
		return &countedConn{Conn: c, closed: sync.OnceFunc(func() { t.connections.Add(-1) })}, nil
	}
}

// A countedConn tells once that it was closed.
type countedConn struct {
	net.Conn
	closed func()
}

func (c *countedConn) Close() error {
	c.closed()
	return c.Conn.Close()
}
