package server

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// An event is one server-sent event, or a heartbeat, which has no name.
type event struct{ name, id, data string }

func (e event) change(t *testing.T) (c poolkeeper.Change) {
	t.Helper()
	if err := json.Unmarshal([]byte(e.data), &c); e.name != "change" || err != nil {
		t.Fatalf("no change: %+v, %v", e, err)
	}
	return c
}

// A hearer reads a stream of events.
type hearer struct {
	t     *testing.T
	res   *http.Response
	lines *bufio.Scanner
}

// hear asks for events, after the one with an id where there is one.
func hear(t *testing.T, url, last string) *hearer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", url+base+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+testKey)
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if got := res.Header.Get("Content-Type"); res.StatusCode != 200 || got != "text/event-stream" {
		t.Fatalf("%d %s", res.StatusCode, got)
	}
	return &hearer{t, res, bufio.NewScanner(res.Body)}
}

// any returns the next event; ok is false at the end of the stream.
func (l *hearer) any() (e event, ok bool) {
	for l.lines.Scan() {
		name, value, _ := strings.Cut(l.lines.Text(), ": ")
		switch name {
		case "":
			return e, true
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.data = value
		}
	}
	return e, false
}

// next returns the next event that is no heartbeat.
func (l *hearer) next() event {
	l.t.Helper()
	for {
		e, ok := l.any()
		if !ok {
			l.t.Fatalf("the stream has ended: %v", l.lines.Err())
		}
		if e.name != "" {
			return e
		}
	}
}

func (l *hearer) wants(name string) event {
	l.t.Helper()
	e := l.next()
	if e.name != name {
		l.t.Fatalf("%+v, want %s", e, name)
	}
	return e
}

// over fails where the stream goes on.
func (l *hearer) over() {
	l.t.Helper()
	for {
		switch e, ok := l.any(); {
		case !ok:
			return
		case e.name != "":
			l.t.Fatalf("after the end there is %+v", e)
		}
	}
}

func (s *service) use(n int) {
	s.t.Helper()
	for range n {
		s.want(200, "POST", "/pools/t/a/usage", "")
	}
}
