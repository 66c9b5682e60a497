package bench

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/replica"
)

func TestUsageInMemory(t *testing.T) {
	st := poolkeeper.New(memstore.New(nil), nil)
	defer st.Close()
	if err := Fill(t.Context(), st, 10); err != nil {
		t.Fatal(err)
	}
	for _, providers := range []int{10, 1} {
		row, err := Usage(t.Context(), st, 8, providers, 50*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if row.PerSecond < 100 || row.P50 <= 0 || row.P99 < row.P50 || !slowest(row) || row.Callers != 8 {
			t.Errorf("got %+v", row)
		}
	}
	st.Close()
	if _, err := Usage(t.Context(), st, 1, 1, time.Millisecond); err == nil {
		t.Error("a closed store was measured")
	}
}

// slowest reports whether a row has its longest one: the 99th percentile is the middle of
// a bucket, and so may be a little above it.
func slowest(row Row) bool { return row.Max > 0 && row.Max >= row.P99-row.P99/32-1 }

func TestCopy(t *testing.T) {
	source := memstore.New(nil)
	from := poolkeeper.New(source, nil)
	if err := Fill(t.Context(), from, 10); err != nil {
		t.Fatal(err)
	}
	b, err := replica.Open(t.Context(), source, nil)
	if err != nil {
		t.Fatal(err)
	}
	to := poolkeeper.New(b, nil)
	defer to.Close()
	rows, err := Reads(t.Context(), to, 20*time.Millisecond)
	if err != nil || len(rows) != 2 || rows[0].PerSecond <= 0 || rows[1].PerSecond <= 0 || !slowest(rows[0]) || !slowest(rows[1]) {
		t.Errorf("reads: %+v, %v", rows, err)
	}
	for _, load := range []int{0, 1000} {
		row, err := Converge(t.Context(), from, []*poolkeeper.Store{to, to}, load, 50*time.Millisecond)
		if err != nil || row.Callers != 2 || row.P50 <= 0 || row.P99 < row.P50 || !slowest(row) {
			t.Errorf("convergence: %+v, %v", row, err)
		}
	}
}

func TestImport(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "in", "configs")
	made, err := MakeDir(dir, 20)
	if err != nil || made.PerSecond <= 0 {
		t.Fatal(made, err)
	}
	if all, err := ReadFiles(dir); err != nil || all.What != CompareReadFiles || int(all.PerSecond*all.Seconds+0.5) != 40 {
		t.Errorf("%+v, %v", all, err)
	}
	st := poolkeeper.New(memstore.New(nil), nil)
	defer st.Close()
	rows, err := Import(t.Context(), st, poolkeeper.New(memstore.New(nil), nil), dir, filepath.Join(t.TempDir(), "out", "configs"))
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 4 || rows[1].What != "import, 20 providers and tokens" || rows[3].PerSecond <= 0 || rows[3].Seconds <= 0 {
		t.Errorf("got %+v", rows)
	}
	if _, err := Import(t.Context(), st, st, t.TempDir()+"/nowhere", dir); err == nil {
		t.Error("nothing was imported")
	}
	rows[0].Compare(Row{What: CompareAwaited, PerSecond: rows[0].PerSecond / 4})
	if rows[0].Ratios[CompareAwaited] != 4 {
		t.Errorf("ratios %v", rows[0].Ratios)
	}
}

func TestHistogram(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var h, half histogram
	var all []time.Duration
	for i := range 20000 {
		d := time.Duration(r.ExpFloat64() * 1e6)
		all = append(all, d)
		if i%2 == 0 {
			h.add(d)
		} else {
			half.add(d)
		}
	}
	h.merge(&half)
	slices.Sort(all)
	for _, q := range []float64{0, 0.01, 0.5, 0.99, 0.999} {
		got, want := h.quantile(q), all[int(q*float64(len(all)))]
		if diff := (got - want).Abs(); diff > want/20+1 {
			t.Errorf("quantile %v: got %v, want %v", q, got, want)
		}
	}
	var both histogram
	both.merge(&h)
	if worst := all[len(all)-1]; h.max != worst || both.max != worst {
		t.Errorf("the longest took %v, and when merged %v, want %v", h.max, both.max, worst)
	}
	for _, d := range []time.Duration{-1, 0, 1, 31, 32, 33, 63, 64, 65, 1 << 20, 1<<40 - 1, 1 << 41, 1<<63 - 1} {
		i := bucketOf(d)
		if i < 0 || i >= buckets {
			t.Fatalf("%d lands in bucket %d", d, i)
		}
		if m := middleOf(i); d >= 0 && d < 1<<40 && (m-d).Abs() > d/32+1 {
			t.Errorf("%d lands in a bucket around %d", d, m)
		}
	}
	if (&histogram{}).quantile(0.5) != 0 {
		t.Error("an empty histogram has a median")
	}
}

func TestParseRedisBenchmark(t *testing.T) {
	// As redis-benchmark prints it; the command holds quotes and commas.
	out := `"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"
"EVALSHA abc 2 k "2026"","48123.20","1.100","0.300","1.050","2.000","2.500","7.000"
`
	var r Row
	if err := r.parse([]byte(out)); err != nil {
		t.Fatal(err)
	}
	if r.PerSecond != 48123.2 || r.P50 != Micros(1050*time.Microsecond) || r.P99 != Micros(2500*time.Microsecond) || r.Max != Micros(7*time.Millisecond) {
		t.Errorf("got %+v", r)
	}
	b, err := json.Marshal(r.P50)
	if err != nil || string(b) != "1050.0" {
		t.Errorf("got %s %v", b, err)
	}
	for _, bad := range []string{"", "x", `"a","1","2"`, `"a","b","c","d","e","f","g","h"`} {
		if err := r.parse([]byte(bad)); err == nil {
			t.Errorf("%q was parsed", bad)
		}
	}
}

// counting is a service that counts each request, and does so wrongly if told to.
func counting(st *poolkeeper.Store, status int, more int64) Service {
	return func(ctx context.Context, ln net.Listener) error {
		hs := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			parts := strings.Split(r.URL.Path, "/")
			ref := poolkeeper.Ref{Type: parts[4], ID: parts[5]}
			if body, err := io.ReadAll(r.Body); err != nil || string(body) != `{"n":1}` || r.Header.Get("Authorization") != "Bearer the-key" {
				status = http.StatusBadRequest
			}
			if _, err := st.Usage(r.Context(), ref, 1+more); err != nil {
				status = http.StatusServiceUnavailable
			}
			w.WriteHeader(status)
			io.WriteString(w, "{}\n")
		})}
		context.AfterFunc(ctx, func() { hs.Close() })
		if err := hs.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}
}

func TestREST(t *testing.T) {
	st := poolkeeper.New(memstore.New(nil), nil)
	defer st.Close()
	if err := Fill(t.Context(), st, 3); err != nil {
		t.Fatal(err)
	}
	rest := func(serve Service, st *poolkeeper.Store) (Row, error) {
		return REST(t.Context(), "it", serve, "the-key", st, 4, 3, 50*time.Millisecond)
	}
	for name, c := range map[string]struct {
		serve Service
		st    *poolkeeper.Store
	}{"empty": {EmptyService, nil}, "counting": {counting(st, 200, 0), st}} {
		row, err := rest(c.serve, c.st)
		if err != nil {
			t.Fatal(err)
		}
		if row.PerSecond < 100 || row.P50 <= 0 || row.P99 < row.P50 || !slowest(row) || row.Callers != 4 || row.Allocs < 1 {
			t.Errorf("%s: %+v", name, row)
		}
	}
	for name, serve := range map[string]Service{
		"a service that counts too much": counting(st, 200, 1),
		"one that refuses":               counting(st, 503, 0),
		"one that counts nothing":        EmptyService,
		"one that cannot serve":          func(_ context.Context, ln net.Listener) error { ln.Close(); return errors.New("no") },
	} {
		if _, err := rest(serve, st); err == nil {
			t.Errorf("%s was measured", name)
		}
	}
}
