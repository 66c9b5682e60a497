package server

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// TestInstance: a service says who it is, also while its store is away.
func TestInstance(t *testing.T) {
	is := Instance{PID: 7, Address: "http://127.0.0.1:1", Store: "redis 127.0.0.1:2 database 0 prefix p:"}
	srv := New(poolkeeper.New(absent{}, nil), &Options{Key: testKey, Version: "v", Instance: is})
	a := call(srv, "GET", base+"/instance", "", "Authorization", "Bearer "+testKey)
	var got instanceReport
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || got != (instanceReport{"v", is}) {
		t.Errorf("%d %s: %v", a.status, a.body, err)
	}
}

// absent is a backend that must not be asked.
type absent struct{ poolkeeper.Backend }

// TestImportMark marks a store, and takes only the mark of that run away.
func TestImportMark(t *testing.T) {
	s := start(t)
	importing := func() bool {
		info, err := s.store.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return info.Importing
	}
	s.want(200, "POST", "/import-mark", `{"run":"a","unfinished":true}`)
	if !importing() {
		t.Error("it is not marked")
	}
	s.want(200, "POST", "/import-mark", `{"run":"b","unfinished":false}`)
	if !importing() {
		t.Error("another run took the mark away")
	}
	for _, body := range []string{"", "{}", `{"run":"a"}`, `{"unfinished":false}`, `{"run":"","unfinished":false}`, `{"run":1,"unfinished":false}`,
		`{"run":"a","unfinished":0}`, `{"run":"a","unfinished":false,"more":1}`, `{"run":"` + strings.Repeat("a", maxRun+1) + `","unfinished":true}`} {
		s.want(400, "POST", "/import-mark", body)
	}
	s.want(200, "POST", "/import-mark", `{"run":"a","unfinished":false}`)
	if importing() {
		t.Error("it is marked still")
	}
}

// A flushed backend has files, and counts how often they were waited for.
type flushed struct {
	poolkeeper.Backend
	n   int
	err error
}

func (f *flushed) Flush(context.Context) error {
	f.n++
	return f.err
}

func TestFlush(t *testing.T) {
	b := &flushed{Backend: memstore.New(nil)}
	s := startOver(t, poolkeeper.New(b, nil))
	s.want(200, "POST", "/flush", "")
	if b.n != 1 {
		t.Errorf("flushed %d times", b.n)
	}
	b.err = poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the disk is full")
	if a := s.want(503, "POST", "/flush", ""); !strings.Contains(a.body, "the disk is full") {
		t.Errorf("%s", a.body)
	}
	// Where there are no files there is nothing to wait for.
	start(t).want(200, "POST", "/flush", "")
}

// A lossy backend answers a recovery with what it is told.
type lossy struct {
	poolkeeper.Backend
	adopt bool
	err   error
}

func (l *lossy) Recover(_ context.Context, adopt bool) (poolkeeper.Recovered, error) {
	l.adopt = adopt
	return poolkeeper.Recovered{By: poolkeeper.RecoveredByThis, Pools: 3}, l.err
}

// TestRecover: each error of a recovery is an answer that is described.
func TestRecover(t *testing.T) {
	b := &lossy{Backend: memstore.New(nil)}
	s := startOver(t, poolkeeper.New(b, nil))
	if a := s.want(200, "POST", "/recover", ""); b.adopt || !strings.Contains(a.body, `"pools":3`) {
		t.Errorf("adopt %v: %s", b.adopt, a.body)
	}
	s.want(200, "POST", "/recover", `{"adopt":true}`)
	if !b.adopt {
		t.Error("it was not told to adopt")
	}
	s.want(400, "POST", "/recover", `{"adopt":1}`)
	for status, err := range map[int]error{412: poolkeeper.ErrConflict, 409: poolkeeper.ErrExists, 503: poolkeeper.ErrUnavailable, 403: poolkeeper.ErrForbidden} {
		b.err = err
		s.want(status, "POST", "/recover", "")
	}
	start(t).want(403, "POST", "/recover", "") // a store that does not lose anything by itself
}
