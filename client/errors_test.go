package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/client"
)

// TestNew: a URL that is none is refused, and nothing of it or of the key is in
// the error.
func TestNew(t *testing.T) {
	for _, url := range []string{"", "localhost:8787", "http://", "ftp://h", "http://user:FAKE-secret@h", "http://h?key=FAKE-secret", "http://h#FAKE-secret",
		"http://h/api/v1", "unix://", "unix:///", "unix://host/path", "unix:relative", "http://h:x\x00FAKE-secret", "redis://h"} {
		if _, err := client.New(url, testKey, nil); !errors.Is(err, poolkeeper.ErrInvalid) || strings.Contains(fmt.Sprint(err), "FAKE") {
			t.Errorf("%q: %v", url, err)
		}
	}
	for _, key := range []string{"FAKE-secret\n", "FAKE secret", "FAKE-é"} {
		if _, err := client.New("http://h", key, nil); !errors.Is(err, poolkeeper.ErrInvalid) || strings.Contains(fmt.Sprint(err), "FAKE") {
			t.Errorf("%q: %v", key, err)
		}
	}
	if _, err := client.New("http://h", "", nil); !errors.Is(err, poolkeeper.ErrUnauthorized) {
		t.Errorf("no key: %v", err)
	}
	for _, url := range []string{"http://h", "http://h:1/", "https://h", "HTTP://h", "unix:///run/x.sock"} {
		c, err := client.New(url, testKey, nil)
		if err != nil {
			t.Errorf("%q: %v", url, err)
			continue
		}
		c.Close()
	}
}

// answers is a service that answers each request the same.
func answers(t *testing.T, status int, media, body string) *client.Client {
	t.Helper()
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", media)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(hs.Close)
	return dial(t, hs.URL, &client.Options{RetryFor: 30 * time.Millisecond})
}

// TestErrors: each error of the service is the same one here, whether the request
// was refused by it or an op of it. What is about the service itself is not taken
// for this client.
func TestErrors(t *testing.T) {
	for _, class := range poolkeeper.ErrorClasses() {
		want, wantLoad, wantOp := class.Err, class.Err, class.Err
		switch class.Err {
		case poolkeeper.ErrClosed:
			want, wantLoad, wantOp = poolkeeper.ErrUnavailable, poolkeeper.ErrUnavailable, poolkeeper.ErrUnavailable
		case context.Canceled, context.DeadlineExceeded: // those of the service
			want, wantLoad, wantOp = poolkeeper.ErrIndeterminate, poolkeeper.ErrUnavailable, poolkeeper.ErrUnavailable
		case poolkeeper.ErrIndeterminate:
			wantLoad = poolkeeper.ErrUnavailable
		case poolkeeper.ErrInternal: // it may have got anywhere
			want = poolkeeper.ErrIndeterminate
		}
		body, _ := json.Marshal(map[string]any{"code": class.Code, "status": class.Status, "detail": "the detail", "hint": "the way out"})
		c := answers(t, class.Status, "application/problem+json", string(body))
		if r := c.Apply(t.Context(), patch("a", 1))[0]; !errors.Is(r.Err, want) || !strings.Contains(r.Err.Error(), "the detail") {
			t.Errorf("%s: Apply: %v, want %v", class.Code, r.Err, want)
		}
		if _, err := c.Load(t.Context()); !errors.Is(err, wantLoad) || !strings.Contains(err.Error(), "the detail") {
			t.Errorf("%s: Load: %v, want %v", class.Code, err, wantLoad)
		}
		result, _ := json.Marshal([]poolkeeper.Result{{Err: &poolkeeper.Error{Detail: "the detail", Hint: "the way out", Err: class.Err}}})
		r := answers(t, 200, "application/json", string(result)).Apply(t.Context(), patch("a", 1))[0]
		if !errors.Is(r.Err, wantOp) || !strings.Contains(r.Err.Error(), "provider.patch t a") {
			t.Errorf("%s: a result: %v, want %v", class.Code, r.Err, wantOp)
		}
		if wantOp == class.Err && class.Err != poolkeeper.ErrInternal && poolkeeper.HintOf(r.Err) != "the way out" {
			t.Errorf("%s: the way out is lost: %v", class.Code, r.Err)
		}
	}
}

// TestStrangers: what is no answer of a service is taken for none.
func TestStrangers(t *testing.T) {
	for _, c := range []struct {
		status      int
		media, body string
		want        error
	}{
		{200, "application/json", "", poolkeeper.ErrIndeterminate},
		{200, "application/json", "[]", poolkeeper.ErrIndeterminate},
		{200, "application/json", `[{"status":"applied","more":1}]`, poolkeeper.ErrIndeterminate},
		{200, "text/html", "<html>", poolkeeper.ErrIndeterminate},
		{502, "text/html", "bad gateway", poolkeeper.ErrIndeterminate},
		{504, "application/problem+json", `{"code":"of another program"}`, poolkeeper.ErrIndeterminate},
		{404, "text/html", "not found", poolkeeper.ErrForbidden},
		{302, "text/html", "", poolkeeper.ErrForbidden},
	} {
		b := answers(t, c.status, c.media, c.body)
		r := b.Apply(t.Context(), patch("a", 1))[0]
		if !errors.Is(r.Err, c.want) || strings.Contains(fmt.Sprint(r.Err), testKey) {
			t.Errorf("%d %q: %v, want %v", c.status, c.body, r.Err, c.want)
		}
		if _, err := b.Load(t.Context()); err == nil {
			t.Errorf("%d %q: a load was taken for good", c.status, c.body)
		}
	}
}

// TestWrongKey: a client with another key is refused everything.
func TestWrongKey(t *testing.T) {
	url := serve(t, filled(t, inMemory(t, time.Now)))
	const other = "FAKE-other-key-0123456789"
	c, err := client.New(url, other, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, loadErr := c.Load(t.Context())
	for _, err := range []error{c.Apply(t.Context(), use("a"))[0].Err, loadErr, c.Restore(t.Context(), nil)} {
		if !errors.Is(err, poolkeeper.ErrUnauthorized) || strings.Contains(fmt.Sprint(err), other) {
			t.Errorf("%v", err)
		}
	}
	if info, err := c.Info(t.Context()); err != nil || info.Ready || !strings.Contains(info.Problem, "key") {
		t.Errorf("%+v, %v", info, err)
	}
}

// TestManyOps: more ops than fit into one request are applied in their order.
func TestManyOps(t *testing.T) {
	c := dial(t, serve(t, filled(t, inMemory(t, time.Now))), nil)
	ops := make([]poolkeeper.Op, 2500)
	for i := range ops {
		ops[i] = use("a")
	}
	ops[7].N = 0
	for i, r := range c.Apply(t.Context(), ops...) {
		want := int64(i + 1)
		if i >= 7 {
			want = int64(i)
		}
		if i == 7 {
			if !errors.Is(r.Err, poolkeeper.ErrInvalid) {
				t.Errorf("op 7: %v", r.Err)
			}
		} else if r.Err != nil || r.Count != want {
			t.Fatalf("op %d: %+v", i, r)
		}
	}
	big := []poolkeeper.Op{}
	for _, name := range []string{"x", "y"} {
		big = append(big, poolkeeper.Op{Kind: poolkeeper.OpPut, Key: poolkeeper.FileKey(name), Data: make([]byte, poolkeeper.MaxFile)})
	}
	for _, r := range c.Apply(t.Context(), big...) {
		if r.Err != nil {
			t.Error(r.Err)
		}
	}
}

// TestOddKeys: a key that JSON would make another one of holds nothing.
func TestOddKeys(t *testing.T) {
	b := filled(t, inMemory(t, time.Now))
	c := dial(t, serve(t, b), nil)
	mark := poolkeeper.FileKey("\ufffd") // what an encoder makes of \xff
	if r := c.Apply(t.Context(), poolkeeper.Op{Kind: poolkeeper.OpPut, Key: mark, Data: []byte("x")})[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	odd := poolkeeper.FileKey("\xff")
	for _, keys := range [][]poolkeeper.Key{{odd}, {odd, poolkeeper.ConfigKey}} {
		if snap, err := c.Load(t.Context(), keys...); err != nil || len(snap.Values)+len(snap.Types) != 0 {
			t.Errorf("%q: %v, %v", keys, snap, err)
		}
	}
	if snap, err := c.Load(t.Context(), mark, odd); err != nil || len(snap.Values) != 1 {
		t.Errorf("%v, %v", snap, err)
	}
	many := make([]poolkeeper.Key, 20_000)
	for i := range many {
		many[i] = poolkeeper.DocumentKey(fmt.Sprint(i))
	}
	many[19_999] = mark
	if snap, err := c.Load(t.Context(), many...); err != nil || len(snap.Values) != 1 {
		t.Errorf("many keys: %v, %v", snap, err)
	}
	c2 := dial(t, serve(t, inMemory(t, time.Now)), nil)
	if _, err := c2.Load(t.Context(), odd); !errors.Is(err, poolkeeper.ErrUninitialized) {
		t.Errorf("of a store that is not initialised: %v", err)
	}
}
