package client_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// The faults of a proxy: the connection ends before the service has the request,
// after it has answered, or in the middle of the answer.
const (
	cutBefore = "before"
	cutAfter  = "after"
	cutMid    = "mid"
)

// A proxy stands between clients and a service, and breaks connections.
type proxy struct {
	url     string
	service string
	out     *http.Client

	mu     sync.Mutex
	decide func(path string) string // the fault of a request; none where it is empty
	counts map[string]int
	passed int // requests that the service got
}

func startProxy(t testing.TB, service string, decide func(path string) string) *proxy {
	t.Helper()
	p := &proxy{service: service, out: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}, decide: decide, counts: map[string]int{}}
	hs := httptest.NewServer(p)
	p.url = hs.URL
	t.Cleanup(func() {
		hs.Close()
		p.out.CloseIdleConnections()
	})
	return p
}

// randomly makes each fault with a probability.
func randomly(seed uint64, before, after, mid float64) func(string) string {
	rng := rand.New(rand.NewPCG(seed, 0))
	return func(string) string {
		switch u := rng.Float64(); {
		case u < before:
			return cutBefore
		case u < before+after:
			return cutAfter
		case u < before+after+mid:
			return cutMid
		}
		return ""
	}
}

// always makes one fault, for requests of a path.
func always(fault, path string) func(string) string {
	return func(p string) string {
		if p == path {
			return fault
		}
		return ""
	}
}

func (p *proxy) set(decide func(string) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.decide = decide
}

func (p *proxy) count(fault string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[fault]
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	p.mu.Lock()
	fault := p.decide(r.URL.Path)
	p.counts[fault]++
	if fault != cutBefore {
		p.passed++
	}
	p.mu.Unlock()
	if fault == cutBefore {
		panic(http.ErrAbortHandler) // closes the connection
	}
	req, err := http.NewRequestWithContext(r.Context(), r.Method, p.service+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header = r.Header.Clone()
	res, err := p.out.Do(req)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || fault == cutAfter {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", res.Header.Get("Content-Type"))
	w.WriteHeader(res.StatusCode)
	if fault == cutMid {
		_, _ = w.Write(answer[:len(answer)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(answer)
}
