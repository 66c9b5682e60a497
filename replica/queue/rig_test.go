package queue_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
	"github.com/poolkeeper/poolkeeper/replica/backlog"
	"github.com/poolkeeper/poolkeeper/replica/queue"
	"go.uber.org/goleak"
)

// roleVariable makes a copy of the test binary play a part instead of running
// tests.
const roleVariable = "POOLKEEPER_TEST_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) != "" {
		os.Exit(child())
	}
	goleak.VerifyTestMain(m)
}

const prefix = "t:"

var kiro = poolkeeper.PoolKey("kiro")

// A rig is a server with a store: the pool kiro with the providers a, b and c,
// and the configuration.
type rig struct {
	*testing.T
	srv   *redistest.Server
	plain *redisstore.Store // without a queue
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return rigOn(t, redistest.Start(t, redistest.WithAOF("always")))
}

func rigOn(t *testing.T, srv *redistest.Server) *rig {
	t.Helper()
	r := &rig{T: t, srv: srv}
	r.plain = r.store(nil)
	snap := poolkeeper.NewSnapshot()
	p := &poolkeeper.Pool{Type: "kiro"}
	for _, id := range []string{"a", "b", "c"} {
		p.Providers = append(p.Providers, poolkeeper.Provider{Ref: poolkeeper.Ref{Type: "kiro", ID: id}, Definition: fmt.Appendf(nil, `{"uuid":%q}`, id)})
	}
	snap.AddPool(p)
	snap.Values[poolkeeper.ConfigKey] = poolkeeper.Document{Data: []byte(`{"a":1}`)}
	if err := r.plain.Restore(t.Context(), snap); err != nil {
		t.Fatal(err)
	}
	return r
}

func options(spool poolkeeper.Spool) *redisstore.Options {
	return &redisstore.Options{Prefix: prefix, CommandTimeout: time.Second, ConnectTimeout: time.Second, TailTime: time.Hour, Spool: spool}
}

func (r *rig) store(spool poolkeeper.Spool) *redisstore.Store {
	r.Helper()
	b, err := redisstore.Open(r.Context(), r.srv.SocketURL(), options(spool))
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { b.Close() })
	return b
}

// open opens a queue over the store at an address; dir as for a backlog.
func open(ctx context.Context, url, dir string, opts *queue.Options) (*queue.Queue, error) {
	log, err := backlog.Open(dir, nil)
	if err != nil {
		return nil, err
	}
	if opts == nil {
		opts = &queue.Options{}
	}
	opts.Probe = 20 * time.Millisecond
	return queue.New(ctx, func(ctx context.Context) (queue.Source, error) {
		s, err := redisstore.Open(ctx, url, options(log))
		if err != nil {
			return nil, err
		}
		return s, nil
	}, log, opts)
}

func (r *rig) queue(url, dir string, opts *queue.Options) *queue.Queue {
	r.Helper()
	q, err := open(r.Context(), url, dir, opts)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { q.Close() })
	return q
}

// must applies an op that has to have a status.
func (r *rig) must(q poolkeeper.Backend, op poolkeeper.Op, want poolkeeper.Status) poolkeeper.Result {
	r.Helper()
	res := q.Apply(r.Context(), op)[0]
	if res.Err != nil || res.Status != want {
		r.Fatalf("%s %s: %s, %v, want %s", op.Kind, op.Subject(), res.Status, res.Err, want)
	}
	return res
}

func (r *rig) refused(q poolkeeper.Backend, op poolkeeper.Op, want error) {
	r.Helper()
	if res := q.Apply(r.Context(), op)[0]; !errors.Is(res.Err, want) {
		r.Errorf("%s %s: %+v, want %v", op.Kind, op.Subject(), res, want)
	}
}

// empty waits until nothing waits any more.
func (r *rig) empty(q *queue.Queue) {
	r.Helper()
	r.eventually("the backlog gets empty", func() bool { s := q.Backlog().State(); return s.Ops == 0 && s.Frozen == 0 })
}

func (r *rig) eventually(what string, ok func() bool) {
	r.Helper()
	for end := time.Now().Add(60 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			r.Fatalf("in vain: %s", what)
		}
	}
}

func (r *rig) state(id, field string) string {
	return r.srv.DoString("HGET", "t:state:{t:pools:kiro}", id+":"+field)
}

func (r *rig) definition(id string) string { return r.srv.DoString("HGET", "t:pools:kiro", id) }

func now() int64 { return time.Now().UnixMilli() }

func useOp(id string, n int64) poolkeeper.Op {
	return poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: kiro, ID: id, N: n, At: now()}
}

func poolOp(kind poolkeeper.OpKind, id string) poolkeeper.Op {
	return poolkeeper.Op{Kind: kind, Key: kiro, ID: id, At: now()}
}

func patchOp(id, data string) poolkeeper.Op {
	op := poolOp(poolkeeper.OpPatchProvider, id)
	op.Patch, op.Data = poolkeeper.MergePatch, []byte(data)
	return op
}

func putOp(name, data string) poolkeeper.Op {
	return poolkeeper.Op{Kind: poolkeeper.OpPut, Key: poolkeeper.DocumentKey(name), Data: []byte(data), At: now()}
}
