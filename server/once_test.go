package server

import (
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// TestIdempotencyKey: the same increment under the same key counts once, for a
// day; another one is refused.
func TestIdempotencyKey(t *testing.T) {
	now := time.Now()
	st := poolkeeper.New(memstore.New(&memstore.Options{Now: func() time.Time { return now }}), nil)
	if err := st.Restore(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	s := startOver(t, st)
	s.want(200, "PUT", "/pools/t", `[{"uuid":"a"},{"uuid":"b"}]`)
	post := func(status int, path, body, key string) answer {
		t.Helper()
		return s.want(status, "POST", path, body, headerOnce, key)
	}
	const use = "/pools/t/a/usage"
	for range 3 {
		equal(t, "usageCount", post(200, use, `{"n":2}`, "k-1").field(t, "usageCount"), "2")
	}
	equal(t, "usageCount", post(200, use, "", "k-2").field(t, "usageCount"), "3")
	equal(t, "usageCount", post(200, use, `{"n":1}`, "k-2").field(t, "usageCount"), "3") // no body is a body of 1
	equal(t, "usageCount", s.want(200, "POST", use, "").field(t, "usageCount"), "4")
	before := s.state()
	equal(t, "code", post(422, use, "", "k-1").field(t, "code"), `"reused"`)
	post(422, "/pools/t/b/usage", `{"n":2}`, "k-1")
	post(400, use, "", "a b")
	post(400, use, "", "é")
	post(413, use, "", strings.Repeat("k", poolkeeper.MaxKey+1))
	equal(t, "state", s.state(), before)
	if status, _, _ := raw(t, s, "POST "+base+use+" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+testKey+"\r\nIdempotency-Key: a\r\nIdempotency-Key: b\r\n\r\n"); status != 400 {
		t.Errorf("two keys: %d", status)
	}
	if status, _, _ := raw(t, s, "POST "+base+use+" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+testKey+"\r\nIdempotency-Key:\r\n\r\n"); status != 400 {
		t.Errorf("an empty key: %d", status)
	}
	// A retry under the new id is the same increment.
	s.want(200, "POST", "/pools/t/b/usage", `{"n":7}`, headerOnce, "k-4")
	s.want(200, "POST", "/pools/t/b/rename", `{"id":"c"}`)
	before = s.state()
	for _, id := range []string{"b", "c"} {
		equal(t, "under "+id, post(200, "/pools/t/"+id+"/usage", `{"n":7}`, "k-4").field(t, "usageCount"), "7")
		post(422, "/pools/t/"+id+"/usage", `{"n":8}`, "k-4")
	}
	equal(t, "state", s.state(), before)
	s.want(200, "POST", "/pools/t/c/rename", `{"id":"b"}`)
	s.want(200, "POST", "/pools/t/b/reset", `{"usage":true}`)
	// Where it is not honoured it is no silence.
	for _, path := range []string{"/pools/t/a/success", "/pools/t/a/error", "/ops"} {
		post(400, path, "[]", "k-3")
	}
	s.want(400, "PUT", "/config", "{}", headerOnce, "k-3")
	s.want(400, "GET", "/config", "", headerOnce, "k-3")
	now = now.Add(poolkeeper.IdempotencyLife * time.Millisecond)
	equal(t, "a day later", post(200, use, `{"n":2}`, "k-1").field(t, "usageCount"), "6")
	// The same per op of a batch.
	const op = `[{"kind":"usage","key":{"kind":"pool","type":"t"},"id":"b","n":5,"idempotencyKey":"o"}]`
	s.want(200, "POST", "/ops", op)
	rs := results(t, s.want(200, "POST", "/ops", op))
	if rs[0].Err != nil || rs[0].Count != 5 {
		t.Errorf("%+v", rs[0])
	}
	equal(t, "across both forms", post(200, "/pools/t/b/usage", `{"n":5}`, "o").field(t, "usageCount"), "5")
}
