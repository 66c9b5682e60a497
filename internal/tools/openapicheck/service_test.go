package openapicheck

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/metrics"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/server"
)

const (
	apiKey  = "a-key-for-this-test"
	typ, id = "openai-custom", "3f1c7a52-1d1b-4a35-9f0e-6d2a6f4a8c10"
	other   = "5d1f3c7a-0b52-4e3f-8a44-1f2e3d4c5b6a"
	bearer  = "5f0c9a77"
)

// A flaky backend fails with what it is told to.
type flaky struct {
	poolkeeper.Backend
	err error
}

func (f *flaky) Apply(ctx context.Context, ops ...poolkeeper.Op) []poolkeeper.Result {
	if f.err == nil {
		return f.Backend.Apply(ctx, ops...)
	}
	results := make([]poolkeeper.Result, len(ops))
	for i := range results {
		results[i].Err = f.err
	}
	return results
}

func (f *flaky) Load(ctx context.Context, keys ...poolkeeper.Key) (*poolkeeper.Snapshot, error) {
	if f.err != nil {
		return nil, f.err
	}
	return f.Backend.Load(ctx, keys...)
}

func (f *flaky) Restore(ctx context.Context, snap *poolkeeper.Snapshot) error {
	if f.err != nil {
		return f.err
	}
	return f.Backend.Restore(ctx, snap)
}

func (f *flaky) Info(ctx context.Context) (poolkeeper.Info, error) {
	if f.err != nil {
		return poolkeeper.Info{}, f.err
	}
	return f.Backend.Info(ctx)
}

func (f *flaky) MarkImport(context.Context, string, bool) error { return f.err }

// Watch ends as soon as it is ready, so that the answer of the service ends too.
func (f *flaky) Watch(_ context.Context, fn func(poolkeeper.Change)) error {
	if f.err != nil {
		return f.err
	}
	fn(poolkeeper.Change{Kind: poolkeeper.ChangeReady})
	return poolkeeper.ErrUnavailable
}

func (f *flaky) Flush(context.Context) error { return f.err }

func (f *flaky) Recover(context.Context, bool) (poolkeeper.Recovered, error) {
	return poolkeeper.Recovered{By: "this"}, f.err
}

// What is set aside are the ops 17 and 21 of the examples.
func (f *flaky) Pending(context.Context) (*poolkeeper.Pending, error) {
	p := &poolkeeper.Pending{Queue: poolkeeper.QueueInfo{Aside: 2}, Dropped: []poolkeeper.DroppedOps{{Key: poolkeeper.PoolKey(typ), ID: id, Kind: poolkeeper.OpUsage, Ops: 1, N: 2, First: 3, Last: 4}},
		Lost: []poolkeeper.Loss{{Key: poolkeeper.PoolKey(typ), Reason: "lost", Ops: 1, N: 2, AtMost: true, First: 3, Last: 4}}}
	for _, n := range []uint64{17, 21} {
		p.Aside = append(p.Aside, poolkeeper.AsideOp{Entry: n, Kind: poolkeeper.OpUsage, Of: "t a", Reason: "not-found", Text: "it is gone", At: 5})
	}
	return p, f.err
}

func (f *flaky) RetryAside(_ context.Context, pick poolkeeper.Pick) (poolkeeper.Decided, error) {
	return poolkeeper.Decided{Changed: len(pick.Entries)}, f.err
}

func (f *flaky) DiscardAside(ctx context.Context, pick poolkeeper.Pick) (poolkeeper.Decided, error) {
	return f.RetryAside(ctx, pick)
}

// A service is one over a store that has the things of the document's examples.
type service struct {
	url   string
	srv   *server.Server
	store *flaky
}

func serve(t *testing.T, empty bool) *service {
	t.Helper()
	b := &flaky{Backend: memstore.New(nil)}
	measured := metrics.New("")
	st := poolkeeper.New(measured.Wrap(b), nil)
	srv := server.New(st, &server.Options{Key: apiKey, Version: "1.2.3", Telemetry: measured})
	hs := httptest.NewServer(srv.Handler())
	t.Cleanup(func() {
		hs.Close()
		st.Close()
	})
	s := &service{url: hs.URL, srv: srv, store: b}
	if empty {
		return s
	}
	ctx := t.Context()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(nil, st.Restore(ctx, nil))
	must(st.PutConfig(ctx, []byte(`{"MAX_ERROR_COUNT": 3}`), poolkeeper.Always))
	must(st.PutDocument(ctx, "plugins.json", []byte(`{"plugins": {}}`), poolkeeper.Always))
	must(st.AddProvider(ctx, typ, []byte(`{"uuid":"`+id+`","customName":"one"}`)))
	must(st.AddProvider(ctx, typ, []byte(`{"uuid":"`+other+`"}`)))
	must(st.AddProvider(ctx, "another", []byte(`{}`)))
	must(st.PutToken(ctx, poolkeeper.Ref{Type: typ, ID: id}, []byte(`{"accessToken":"a"}`), poolkeeper.Always))
	must(st.PutSession(ctx, bearer, []byte(`{"username":"admin"}`), farFuture))
	return s
}

// document is what a service serves, as JSON, and the parts that the tests walk.
func document(t *testing.T) ([]byte, *openapi) {
	t.Helper()
	s := serve(t, false)
	raw := get(t, s.url+"/openapi.json")
	doc := &openapi{}
	if err := json.Unmarshal(raw, doc); err != nil {
		t.Fatal(err)
	}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			op.Method, op.Path = strings.ToUpper(method), path
		}
	}
	return raw, doc
}

type (
	openapi struct {
		Paths map[string]map[string]*operation
	}
	operation struct {
		Method, Path string
		OperationID  string
		Security     *[]any
		Parameters   []parameter
		RequestBody  *struct {
			Required bool
			Content  map[string]struct{ Example json.RawMessage }
		}
		Responses map[string]any
	}
	parameter struct {
		Name, In string
		Required bool
		Example  string
	}
)

func (op *operation) takes(header string) bool {
	for _, p := range op.Parameters {
		if p.In == "header" && p.Name == header {
			return true
		}
	}
	return false
}
