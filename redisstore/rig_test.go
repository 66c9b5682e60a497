package redisstore_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

// A rig is a server with an initialised store: the pool kiro with the
// providers a, b and c, of which a counts 5 in its definition.
type rig struct {
	*testing.T
	srv *redistest.Server
	b   *redisstore.Store // on the socket, without faults
}

const (
	rigPrefix = "t:"
	rigPool   = "t:pools:kiro"
	rigAt     = 1_769_337_000_000 // 2026-01-25T10:30:00Z
)

var kiro = poolkeeper.PoolKey("kiro")

func newRig(t *testing.T, opts ...redistest.Option) *rig {
	t.Helper()
	return rigOn(t, redistest.Start(t, opts...))
}

// rigOn initialises a store on a server.
func rigOn(t *testing.T, srv *redistest.Server) *rig {
	t.Helper()
	r := &rig{T: t, srv: srv}
	r.b = r.open(srv.SocketURL())
	if err := r.b.Restore(t.Context(), rigSnapshot()); err != nil {
		t.Fatal(err)
	}
	return r
}

func rigSnapshot() *poolkeeper.Snapshot {
	snap := poolkeeper.NewSnapshot()
	p := &poolkeeper.Pool{Type: "kiro"}
	for _, def := range []string{`{"uuid":"a","usageCount":5}`, `{"uuid":"b"}`, `{"uuid":"c","x":[1.0, 1e2]}`} {
		id, _ := poolkeeper.UsableUUID([]byte(def))
		p.Providers = append(p.Providers, poolkeeper.Provider{Ref: poolkeeper.Ref{Type: "kiro", ID: id}, Definition: []byte(def)})
	}
	snap.AddPool(p)
	snap.Values[poolkeeper.ConfigKey] = poolkeeper.Document{Data: []byte(`{"a": 1}`)}
	return snap
}

// open opens a store under the rig's prefix, with short timeouts.
func (r *rig) open(at string, change ...func(*redisstore.Options)) *redisstore.Store {
	r.Helper()
	o := &redisstore.Options{Prefix: rigPrefix, CommandTimeout: 500 * time.Millisecond, RetryFor: 5 * time.Second}
	for _, c := range change {
		c(o)
	}
	b, err := redisstore.Open(r.Context(), at, o)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { b.Close() })
	return b
}

// impatient makes a store give up soon.
func impatient(o *redisstore.Options) {
	o.CommandTimeout, o.RetryFor = 100*time.Millisecond, 300*time.Millisecond
}

// hasty makes a store give up soon what is refused, and wait for what is slow.
func hasty(o *redisstore.Options) {
	o.CommandTimeout, o.RetryFor = 5*time.Second, 300*time.Millisecond
}

// proxied opens a store behind a proxy.
func (r *rig) proxied(change ...func(*redisstore.Options)) (*redistest.Proxy, *redisstore.Store) {
	r.Helper()
	p := redistest.StartProxy(r.T, r.srv.Socket())
	return p, r.open(p.URL(), change...)
}

// try applies one op.
func (r *rig) try(b *redisstore.Store, op poolkeeper.Op) poolkeeper.Result {
	return b.Apply(r.Context(), op)[0]
}

// must applies one op that has to succeed.
func (r *rig) must(b *redisstore.Store, op poolkeeper.Op) poolkeeper.Result {
	r.Helper()
	res := r.try(b, op)
	if res.Err != nil {
		r.Fatalf("%s %s: %v", op.Kind, op.Subject(), res.Err)
	}
	return res
}

// refused applies one op that has to fail with the given error.
func (r *rig) refused(b *redisstore.Store, op poolkeeper.Op, want error) {
	r.Helper()
	if res := r.try(b, op); !errors.Is(res.Err, want) {
		r.Errorf("%s %s: error %v, want %v", op.Kind, op.Subject(), res.Err, want)
	}
}

// unchanged fails where a function changes anything in Redis.
func (r *rig) unchanged(what string, f func()) {
	r.Helper()
	before := r.srv.Dump()
	f()
	after := r.srv.Dump()
	if redistest.Hash(before) == redistest.Hash(after) {
		return
	}
	for k := range after {
		if before[k] != after[k] {
			r.Errorf("%s changed %s:\n%s\n%s", what, k, before[k], after[k])
		}
	}
	for k := range before {
		if _, ok := after[k]; !ok {
			r.Errorf("%s removed %s", what, k)
		}
	}
}

// usageOf reads a counter plainly, as any program would.
func (r *rig) usageOf(id string) string {
	return r.srv.DoString("HGET", "t:state:{"+rigPool+"}", id+":usageCount")
}

// revisionOf is the number of the revision of a Redis key.
func (r *rig) revisionOf(key string) string {
	n, _, _ := strings.Cut(r.srv.DoString("HGET", "t:ctl:{"+key+"}", "rev"), " ")
	return n
}

// Ops on the pool kiro, and on values.

func useOp(id string, n int64) poolkeeper.Op {
	return poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: kiro, ID: id, N: n, At: rigAt}
}

func errorOp(id string) poolkeeper.Op {
	return poolkeeper.Op{Kind: poolkeeper.OpError, Key: kiro, ID: id, At: rigAt}
}

func defineOp(kind poolkeeper.OpKind, id, members string) poolkeeper.Op {
	return poolkeeper.Op{Kind: kind, Key: kiro, ID: id, Data: fmt.Appendf(nil, `{"uuid":%q%s}`, id, members), At: rigAt}
}

func poolOp(kind poolkeeper.OpKind, id string) poolkeeper.Op {
	return poolkeeper.Op{Kind: kind, Key: kiro, ID: id, At: rigAt}
}

func replaceOp(ids ...string) poolkeeper.Op {
	op := poolkeeper.Op{Kind: poolkeeper.OpReplacePool, Key: kiro, At: rigAt}
	for _, id := range ids {
		op.Providers = append(op.Providers, poolkeeper.ProviderRecord{ID: id, Definition: fmt.Appendf(nil, `{"uuid":%q,"new":true}`, id)})
	}
	return op
}

func putOp(key poolkeeper.Key, data string) poolkeeper.Op {
	return poolkeeper.Op{Kind: poolkeeper.OpPut, Key: key, Data: []byte(data), At: rigAt}
}

func patchOp(key poolkeeper.Key, data string) poolkeeper.Op {
	return poolkeeper.Op{Kind: poolkeeper.OpPatch, Key: key, Patch: poolkeeper.MergePatch, Data: []byte(data), At: rigAt}
}

func deleteOp(key poolkeeper.Key) poolkeeper.Op {
	return poolkeeper.Op{Kind: poolkeeper.OpDelete, Key: key, At: rigAt}
}

// withUser puts credentials into a URL.
func withUser(t *testing.T, raw, user, password string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(user, password)
	return u.String()
}
