package server

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// TestConcurrentUsage: every use that was acknowledged is counted once, and no
// two get the same count.
func TestConcurrentUsage(t *testing.T) {
	const callers, each = 16, 25
	s := start(t)
	s.want(201, "POST", "/pools/t", `{"uuid":"a"}`)
	counts := make(chan string, callers*each)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				counts <- s.do("POST", "/pools/t/a/usage", `{"n":1}`).field(t, "usageCount")
			}
		})
	}
	wg.Wait()
	close(counts)
	seen := map[string]bool{}
	for c := range counts {
		seen[c] = true
	}
	if len(seen) != callers*each || !seen[strconv.Itoa(callers*each)] {
		t.Errorf("%d different counts for %d uses", len(seen), callers*each)
	}
}

// A sink is a ResponseWriter that costs nothing.
type sink struct {
	header http.Header
	status int
}

func (w *sink) Header() http.Header         { return w.header }
func (w *sink) WriteHeader(status int)      { w.status = status }
func (w *sink) Write(b []byte) (int, error) { return len(b), nil }

// usageRequest returns a function that posts one use, again and again.
func usageRequest(tb testing.TB, body string) (post func() int) {
	h := New(poolkeeper.New(gated(tb), nil), &Options{Key: testKey}).Handler()
	r := httptest.NewRequest("POST", "http://localhost"+base+"/pools/t/a/usage", nil)
	r.Header.Set("Authorization", "Bearer "+testKey)
	r.Header.Set("Content-Type", "application/json")
	reader := strings.NewReader(body)
	r.Body, r.ContentLength = io.NopCloser(reader), int64(len(body))
	w := &sink{header: http.Header{}}
	return func() int {
		reader.Reset(body)
		clear(w.header)
		h.ServeHTTP(w, r)
		return w.status
	}
}

// TestUsageIsLean bounds what a use costs in allocations, those of memstore
// included.
func TestUsageIsLean(t *testing.T) {
	for body, most := range map[string]float64{"": 10, `{"n":1}`: 10} {
		post := usageRequest(t, body)
		got := testing.AllocsPerRun(200, func() {
			if status := post(); status != 200 {
				t.Fatal(status)
			}
		})
		t.Logf("%q: %v allocations", body, got)
		if got > most {
			t.Errorf("%q: %v allocations, want at most %v", body, got, most)
		}
	}
}

func BenchmarkUsage(b *testing.B) {
	for _, body := range []string{"", `{"n":1}`} {
		b.Run(strconv.Itoa(len(body)), func(b *testing.B) {
			post := usageRequest(b, body)
			b.ReportAllocs()
			for b.Loop() {
				if post() != 200 {
					b.Fatal("refused")
				}
			}
		})
	}
}
