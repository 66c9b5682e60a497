package metrics

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/storetest"
)

// The layer is a Backend as the others are.
func TestConformance(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		Open: func(_ testing.TB, now func() time.Time) poolkeeper.Backend {
			return New("test").Wrap(memstore.New(&memstore.Options{Now: now}))
		},
		OwnClock: true,
	})
}

// scrape returns the metrics, each line's value by its name and labels.
func scrape(t *testing.T, m *Metrics) map[string]float64 {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	body, err := io.ReadAll(w.Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %v: %s", w.Code, err, body)
	}
	values := map[string]float64{}
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(strings.TrimSpace(line[i+1:]), 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		values[line[:i]] = v
	}
	return values
}

func wantMetrics(t *testing.T, got, want map[string]float64) {
	t.Helper()
	for name, v := range want {
		if g, ok := got[name]; !ok || g != v {
			t.Errorf("%s is %v (%v), want %v", name, g, ok, v)
		}
	}
}

// broken is a backend whose reads fail, and whose writes are not sure.
type broken struct{ poolkeeper.Backend }

func (broken) Apply(_ context.Context, ops ...poolkeeper.Op) []poolkeeper.Result {
	results := make([]poolkeeper.Result, len(ops))
	for i := range ops {
		switch ops[i].N {
		case 1:
			results[i].Status = poolkeeper.Queued
		case 2:
			results[i].Err = poolkeeper.Errorf(poolkeeper.ErrIndeterminate, "FAKE-secret")
		default:
			results[i].Err = errors.New("FAKE-secret")
		}
	}
	return results
}

func (broken) Load(context.Context, ...poolkeeper.Key) (*poolkeeper.Snapshot, error) {
	return nil, errors.New("FAKE-secret")
}

func TestOpsByKindAndOutcome(t *testing.T) {
	m := New("1.2.3")
	inner := memstore.New(nil)
	st := poolkeeper.New(m.Wrap(inner), nil)
	ctx := t.Context()
	wantMetrics(t, scrape(t, m), map[string]float64{
		"poolkeeper_store_ready":                                   0,
		`poolkeeper_build_info{version="1.2.3"}`:                   1,
		`poolkeeper_ops_total{kind="usage",outcome="applied"}`:     0,
		`poolkeeper_op_duration_seconds_count{kind="pool.delete"}`: 0,
	})
	if err := st.Restore(ctx, nil); err != nil {
		t.Fatal(err)
	}
	ref := poolkeeper.Ref{Type: "t", ID: "FAKE-id"}
	if _, err := st.AddProvider(ctx, "t", []byte(`{"uuid":"FAKE-id"}`)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := st.Usage(ctx, ref, 1); err != nil {
			t.Fatal(err)
		}
	}
	st.Usage(ctx, poolkeeper.Ref{Type: "t", ID: "nobody"}, 1)
	st.Usage(ctx, ref, 0)
	st.Apply(ctx, poolkeeper.Op{Kind: "FAKE-kind", Key: poolkeeper.PoolKey("t")})
	if _, err := st.Provider(ctx, ref); err != nil {
		t.Fatal(err)
	}
	got := scrape(t, m)
	wantMetrics(t, got, map[string]float64{
		`poolkeeper_ops_total{kind="usage",outcome="applied"}`:        3,
		`poolkeeper_ops_total{kind="usage",outcome="not-found"}`:      1,
		`poolkeeper_ops_total{kind="usage",outcome="invalid"}`:        1,
		`poolkeeper_ops_total{kind="other",outcome="invalid"}`:        1,
		`poolkeeper_ops_total{kind="provider.add",outcome="applied"}`: 1,
		`poolkeeper_op_duration_seconds_count{kind="usage"}`:          5,
		`poolkeeper_read_duration_seconds_count{outcome="ok"}`:        1,
		"poolkeeper_store_ready":                                      1,
		"poolkeeper_serving":                                          1,
		"poolkeeper_store_pools":                                      1,
		"poolkeeper_store_providers":                                  1,
		"poolkeeper_lanes_waiting":                                    0,
	})
	for name := range got {
		if strings.Contains(name, "FAKE") {
			t.Errorf("a label holds what was not ours: %s", name)
		}
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	got = scrape(t, m)
	wantMetrics(t, got, map[string]float64{"poolkeeper_store_ready": 0})
	if _, ok := got["poolkeeper_store_providers"]; ok {
		t.Error("a store that cannot be asked has a size")
	}
}

func TestOutcomesOfATroubledStore(t *testing.T) {
	m := New("")
	b := m.Wrap(broken{memstore.New(nil)})
	for n := range int64(3) {
		op := poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey("t"), ID: "a", N: n}
		b.Apply(t.Context(), op)
	}
	b.Load(t.Context())
	wantMetrics(t, scrape(t, m), map[string]float64{
		`poolkeeper_ops_total{kind="usage",outcome="queued"}`:        1,
		`poolkeeper_ops_total{kind="usage",outcome="indeterminate"}`: 1,
		`poolkeeper_ops_total{kind="usage",outcome="internal"}`:      1,
		`poolkeeper_read_duration_seconds_count{outcome="error"}`:    1,
	})
}

// measured is a backend with figures of its own.
type measured struct {
	poolkeeper.Backend
	is poolkeeper.Measures
}

func (m *measured) Measure(context.Context) poolkeeper.Measures { return m.is }

func TestBackendMeasures(t *testing.T) {
	m := New("")
	b := &measured{Backend: memstore.New(nil)}
	b.is = poolkeeper.Measures{Connections: 2, LanesWaiting: 3, Resent: 4, Size: &poolkeeper.Size{Pools: 5, Providers: 6, UsedBytes: 7, MaxBytes: 8}}
	b.is.Batches.Counts[0], b.is.Batches.Counts[2], b.is.Batches.Counts[len(poolkeeper.BatchBounds)] = 10, 2, 1
	b.is.Batches.Ops = 700
	wrapped := m.Wrap(b)
	if meter, ok := wrapped.(poolkeeper.Meter); !ok || meter.Measure(t.Context()).Resent != 4 {
		t.Error("the layer hides that what it is over can be measured")
	}
	wantMetrics(t, scrape(t, m), map[string]float64{
		"poolkeeper_redis_connections":           2,
		"poolkeeper_lanes_waiting":               3,
		"poolkeeper_batches_resent_total":        4,
		"poolkeeper_store_pools":                 5,
		"poolkeeper_store_providers":             6,
		"poolkeeper_redis_memory_used_bytes":     7,
		"poolkeeper_redis_memory_max_bytes":      8,
		`poolkeeper_batch_ops_bucket{le="1"}`:    10,
		`poolkeeper_batch_ops_bucket{le="2"}`:    10,
		`poolkeeper_batch_ops_bucket{le="4"}`:    12,
		`poolkeeper_batch_ops_bucket{le="512"}`:  12,
		`poolkeeper_batch_ops_bucket{le="+Inf"}`: 13,
		"poolkeeper_batch_ops_count":             13,
		"poolkeeper_batch_ops_sum":               700,
	})
}

// TestRequests: what a client may choose freely becomes no label.
func TestRequests(t *testing.T) {
	m := New("")
	m.Request("/a/{x}", "GET", 200, time.Millisecond)
	m.Request("/a/{x}", "GET", 503, time.Second)
	m.Request("none", "FAKE", 404, time.Second)
	m.Request("none", "FAKE2", 0, time.Second)
	wantMetrics(t, scrape(t, m), map[string]float64{
		`poolkeeper_http_requests_total{method="GET",route="/a/{x}",status="200"}`:                1,
		`poolkeeper_http_requests_total{method="GET",route="/a/{x}",status="503"}`:                1,
		`poolkeeper_http_requests_total{method="other",route="none",status="404"}`:                1,
		`poolkeeper_http_requests_total{method="other",route="none",status="none"}`:               1,
		`poolkeeper_http_request_duration_seconds_bucket{method="GET",route="/a/{x}",le="0.001"}`: 1,
		`poolkeeper_http_request_duration_seconds_count{method="GET",route="/a/{x}"}`:             2,
	})
}

// TestNoAllocation: an op that goes well costs nothing but its counting.
func TestNoAllocation(t *testing.T) {
	m := New("")
	results := []poolkeeper.Result{{Status: poolkeeper.Applied}}
	b := m.Wrap(&fixed{Backend: memstore.New(nil), results: results})
	ops := []poolkeeper.Op{{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey("t"), ID: "a", N: 1}}
	if n := testing.AllocsPerRun(100, func() { b.Apply(context.Background(), ops...) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

type fixed struct {
	poolkeeper.Backend
	results []poolkeeper.Result
}

func (f *fixed) Apply(context.Context, ...poolkeeper.Op) []poolkeeper.Result { return f.results }

// TestOpKinds: the list of kinds has every kind that is declared.
func TestOpKinds(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../op.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			if typ, ok := v.Type.(*ast.Ident); ok && typ.Name == "OpKind" {
				text, _ := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
				declared[text] = true
			}
		}
		return true
	})
	for _, k := range poolkeeper.OpKinds() {
		if !declared[string(k)] {
			t.Errorf("%s is listed twice, or nowhere declared", k)
		}
		delete(declared, string(k))
	}
	if len(declared) > 0 {
		t.Errorf("not listed: %v", declared)
	}
}
