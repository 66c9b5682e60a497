package server

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// TestNoBody: where no body is taken one is refused, however it is sent, and
// nothing is done; of a GET it means nothing.
func TestNoBody(t *testing.T) {
	s := start(t)
	s.want(200, "PUT", "/pools/t", `[{"uuid":"a"}]`)
	s.want(200, "PUT", "/tokens/t/a", `{"r":1}`)
	s.want(200, "PUT", "/documents/d", `{}`)
	before := s.state()
	for _, rt := range s.srv.routes {
		if rt.body != nil || rt.method == "GET" {
			continue
		}
		path := strings.NewReplacer("{type}", "t", "{id}", "a", "{name}", "d").Replace(strings.TrimPrefix(rt.path, base))
		for _, body := range []string{`{}`, `[]`, ` `, "x"} {
			if a := s.want(400, rt.method, path, body, bearerHeader, "b"); !strings.Contains(a.body, "no body is taken here") {
				t.Errorf("%s %s: %s", rt.method, path, a.body)
			}
		}
		head := rt.method + " " + base + path + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + testKey + "\r\nTransfer-Encoding: chunked\r\n\r\n"
		if status, _, _ := raw(t, s, head+"1\r\nx\r\n0\r\n\r\n"); status != 400 {
			t.Errorf("%s %s in chunks: %d", rt.method, path, status)
		}
	}
	equal(t, "state", s.state(), before)
	s.want(200, "GET", "/pools", "{}")
	s.want(200, "DELETE", "/tokens/t/a", "")
	if status, _, _ := raw(t, s, "DELETE "+base+"/documents/d HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+testKey+"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"); status != 200 {
		t.Errorf("no body, in chunks: %d", status)
	}
}

// TestRefusals: a body that is not what it should be is refused, the fields at
// fault are named, and nothing changes.
func TestRefusals(t *testing.T) {
	s := start(t)
	s.want(200, "PUT", "/config", `{"a":1}`)
	s.want(200, "PUT", "/documents/d", `{"a":1}`)
	s.want(200, "PUT", "/pools/t", `[{"uuid":"a"},{"uuid":"b"}]`)
	s.want(200, "PUT", "/tokens/t/a", `{"r":1}`)
	before := s.state()
	for _, c := range []struct {
		status                      int
		method, path, body, pointer string
	}{
		{400, "POST", "/pools/t/a/usage", `{"n":0}`, "#/n"},
		{400, "POST", "/pools/t/a/usage", `{"n":-1}`, "#/n"},
		{400, "POST", "/pools/t/a/usage", `{"n":1.0}`, "#/n"},
		{400, "POST", "/pools/t/a/usage", `{"n":1e3}`, "#/n"},
		{400, "POST", "/pools/t/a/usage", `{"n":"1"}`, "#/n"},
		{400, "POST", "/pools/t/a/usage", `{"n":null}`, "#/n"},
		{400, "POST", "/pools/t/a/usage", `{"n":1000000000001}`, "#/n"},
		{400, "POST", "/pools/t/a/usage", `{"n":99999999999999999999}`, "#/n"},
		{400, "POST", "/pools/t/a/usage", `{"n":1,"n":2}`, "#/n"},
		{400, "POST", "/pools/t/a/usage", `{"N":1}`, "#/N"},
		{400, "POST", "/ops", `[{"kind":"usage","key":{"kind":"pool","type":"t"},"id":"a","n":1,"n":2}]`, "#/0"},
		{400, "POST", "/load", `[{"kind":"config","kind":"pools"}]`, "#/0"},
		{400, "POST", "/pools/t/a/usage", `{"n":1,"a/b~":2}`, "#/a~1b~0"},
		{400, "POST", "/pools/t/a/usage", `{"n":1}{}`, ""},
		{400, "POST", "/pools/t/a/usage", `{"n":1`, ""},
		{400, "POST", "/pools/t/a/usage", `[1]`, ""},
		{400, "POST", "/pools/t/a/usage", `null`, ""},
		{400, "POST", "/pools/t/a/usage", ` `, ""},
		{400, "POST", "/pools/t/a/usage", "{\"\xff\":1}", ""},
		{413, "POST", "/pools/t/a/usage", `{"n":1` + strings.Repeat(" ", maxTiny) + `}`, ""},
		{400, "POST", "/pools/t/a/error", `{"message":1}`, "#/message"},
		{400, "POST", "/pools/t/a/error", `{"message":"\ud800"}`, "#/message"},
		{400, "POST", "/pools/t/a/error", `{"markUnhealthy":"true"}`, "#/markUnhealthy"},
		{400, "POST", "/pools/t/a/error", `{"markUnhealthy":1}`, "#/markUnhealthy"},
		{400, "POST", "/pools/t/a/error", `{"recoverAt":"tomorrow"}`, "#/recoverAt"},
		{400, "POST", "/pools/t/a/error", `{"recoverAt":1700000000000}`, "#/recoverAt"},
		{400, "POST", "/pools/t/a/error", `{"recoverAt":"0001-01-01T00:00:00Z"}`, "#/recoverAt"},
		{413, "POST", "/pools/t/a/error", `{"message":"` + strings.Repeat("x", poolkeeper.MaxMessage+1) + `"}`, ""},
		{413, "POST", "/pools/t/a/error", `{"message":"` + strings.Repeat("x", maxCommand) + `"}`, ""},
		{400, "POST", "/pools/t/a/success", `{"n":-1}`, "#/n"},
		{400, "POST", "/pools/t/a/success", `{"model":7}`, "#/model"},
		{400, "POST", "/pools/t/a/health", ``, ""},
		{400, "POST", "/pools/t/a/health", `{}`, "#/healthy"},
		{400, "POST", "/pools/t/a/health", `{"healthy":null}`, "#/healthy"},
		{400, "POST", "/pools/t/a/refresh-state", `{}`, "#/phase"},
		{400, "POST", "/pools/t/a/refresh-state", `{"phase":"begun"}`, "#/phase"},
		{400, "POST", "/pools/t/a/reset", `{"usage":0}`, "#/usage"},
		{400, "POST", "/pools/t/a/rename", `{}`, "#/id"},
		{400, "POST", "/pools/t/a/rename", `{"id":1}`, "#/id"},
		{400, "POST", "/pools/t/a/rename", `{"id":"a"}`, ""},

		{400, "PUT", "/config", ``, ""},
		{400, "PUT", "/config", `[]`, ""},
		{400, "PUT", "/config", `{"a":1,}`, ""},
		{400, "PUT", "/config", "\ufeff{}", ""},
		{400, "PUT", "/documents/d", `{} {}`, ""},
		{400, "PUT", "/documents/d", `nope`, ""},
		{413, "PUT", "/documents/d", `"` + strings.Repeat("x", poolkeeper.MaxDocument) + `"`, ""},
		{400, "PUT", "/tokens/t/a", `"x"`, ""},
		{400, "PUT", "/pools/t/a", `{"uuid":"b"}`, ""},
		{400, "PUT", "/pools/t/a", `{}`, ""},
		{413, "PUT", "/pools/t/a", `{"uuid":"a","x":"` + strings.Repeat("x", poolkeeper.MaxDefinition) + `"}`, ""},
		{400, "POST", "/pools/t", `[]`, ""},
		{400, "POST", "/pools/t", `{"uuid":7}`, ""},
		{400, "POST", "/pools/t", `{"uuid":"~x"}`, ""},
		{409, "POST", "/pools/t", `{"uuid":"a"}`, ""},
		{400, "PUT", "/pools/t", `{"uuid":"a"}`, ""},
		{400, "PUT", "/pools/t", `[{"uuid":"a"},7]`, "#/1"},
		{413, "PUT", "/pools/t", `[{"uuid":"a","x":"` + strings.Repeat("x", poolkeeper.MaxDefinition) + `"}]`, "#/0"},
		{400, "PUT", "/pools/t?order=true", `["a"]`, ""},
		{400, "PUT", "/pools/t?order=true", `["a","b","b"]`, ""},
		{400, "PUT", "/pools/t?order=true", `["a","c"]`, ""},
		{400, "PUT", "/pools/t?order=true", `["a",1]`, "#/1"},
		{400, "PUT", "/pools/t?order=true", `{}`, ""},
		{404, "PUT", "/pools/none?order=true", `[]`, ""},
		{400, "PUT", "/pools", `{"t":[]}`, ""},
		{400, "PUT", "/pools?order=true", `["t","u"]`, ""},
		{400, "PUT", "/pools?order=true", `[]`, ""},
	} {
		what := c.method + " " + c.path + " " + clip(c.body)
		a := s.do(c.method, c.path, c.body)
		if a.status != c.status {
			t.Errorf("%s: %d, want %d\n%s", what, a.status, c.status, a.body)
			continue
		}
		var p problem
		if err := json.Unmarshal([]byte(a.body), &p); err != nil {
			t.Fatal(err)
		}
		if c.pointer != "" && (len(p.Errors) == 0 || p.Errors[0].Pointer != c.pointer) {
			t.Errorf("%s: no fault at %s\n%s", what, c.pointer, a.body)
		}
		if now := s.state(); now != before {
			t.Fatalf("%s changed the store:\n%s", what, now)
		}
	}
}

func TestContentTypes(t *testing.T) {
	s := start(t)
	s.want(201, "POST", "/pools/t", `{"uuid":"a"}`)
	before := s.state()
	for _, contentType := range []string{"text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "application/json; x=y", "application/merge-patch+json", ";", "json"} {
		for _, c := range [][2]string{{"PUT", "/config"}, {"POST", "/pools/t"}, {"POST", "/pools/t/a/usage"}, {"PUT", "/pools/t/a"}} {
			s.want(415, c[0], c[1], `{}`, "Content-Type", contentType)
		}
	}
	s.want(415, "POST", "/pools/t/a/usage", `{}`, "Content-Type", "")
	s.want(415, "PUT", "/config", `{}`, "Content-Encoding", "gzip")
	equal(t, "state", s.state(), before)
	s.want(200, "PUT", "/config", `{}`, "Content-Type", "")
	s.want(200, "PUT", "/config", `{"a":1}`, "Content-Type", "application/json;charset=utf-8")
	s.want(200, "POST", "/pools/t/a/usage", "", "Content-Type", "text/plain") // no body, no type
}

// TestChunked: a body without a length is held to the same limits, and kept to
// the same bytes.
func TestChunked(t *testing.T) {
	s := start(t)
	s.want(201, "POST", "/pools/t", `{"uuid":"a"}`)
	send := func(method, path, body string) int {
		req, _ := http.NewRequest(method, s.http.URL+base+path, io.MultiReader(strings.NewReader(body)))
		req.Header.Set("Authorization", "Bearer "+testKey)
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		if res.StatusCode >= 400 {
			checkProblem(t, path, answer{res.StatusCode, res.Header, string(b)})
		}
		return res.StatusCode
	}
	for _, size := range []int{0, 1, 500, 511, 512, 513, 5000, 100_000} {
		doc := fmt.Sprintf(`{"a":"%s"}`, strings.Repeat("x", size))
		if got := send("PUT", "/documents/d", doc); got != 200 {
			t.Fatalf("%d bytes: %d", size, got)
		}
		equal(t, "chunked", s.want(200, "GET", "/documents/d", "").body, doc)
		s.want(200, "PUT", "/documents/e", doc)
		equal(t, "counted", s.want(200, "GET", "/documents/e", "").body, doc)
	}
	if got := send("POST", "/pools/t/a/usage", `{"n":2}`); got != 200 {
		t.Errorf("usage: %d", got)
	}
	if got := send("POST", "/pools/t/a/usage", `{"n":2`+strings.Repeat(" ", maxTiny)+`}`); got != 413 {
		t.Errorf("usage beyond the limit: %d", got)
	}
	equal(t, "count", s.want(200, "POST", "/pools/t/a/usage", "").field(t, "usageCount"), "3")

	status, header, body := raw(t, s, "PUT "+base+"/config HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+testKey+
		"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\nzz\r\n")
	if status != 400 {
		t.Errorf("broken chunks: %d", status)
	}
	checkProblem(t, "broken chunks", answer{status, header, body})
}

// TestDeclaredLength: a length beyond the limit is refused before any memory is
// taken for it, and without waiting for the body.
func TestDeclaredLength(t *testing.T) {
	s := start(t)
	for _, request := range []string{"PUT " + base + "/config", "PUT " + base + "/pools/t", "POST " + base + "/pools/t/a/usage"} {
		status, header, body := raw(t, s, request+" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+testKey+
			"\r\nContent-Type: application/json\r\nContent-Length: 1099511627776\r\n\r\n{")
		if status != 413 {
			t.Errorf("%s: %d", request, status)
		}
		checkProblem(t, request, answer{status, header, body})
	}
}

// TestExactLimits: what is as large as the limit passes.
func TestExactLimits(t *testing.T) {
	s := start(t)
	fill := func(frame string, size int) string { return fmt.Sprintf(frame, strings.Repeat("x", size-len(frame)+2)) }
	s.want(200, "PUT", "/documents/d", fill(`"%s"`, poolkeeper.MaxDocument))
	s.want(413, "PUT", "/documents/d", fill(`"%s"`, poolkeeper.MaxDocument+1))
	s.want(201, "PUT", "/pools/t/a", fill(`{"uuid":"a","x":"%s"}`, poolkeeper.MaxDefinition))
	s.want(413, "PUT", "/pools/t/a", fill(`{"uuid":"a","x":"%s"}`, poolkeeper.MaxDefinition+1))
	// Every byte of the message escaped.
	s.want(200, "POST", "/pools/t/a/error", `{"message":"`+strings.Repeat(`\u0001`, poolkeeper.MaxMessage)+`"}`)
	s.want(413, "POST", "/pools/t/a/error", `{"message":"`+strings.Repeat(`\u0001`, poolkeeper.MaxMessage+1)+`"}`)
}

// TestUTF8 refuses bytes that are no UTF-8 in every kind of body, and names the
// place.
func TestUTF8(t *testing.T) {
	s := start(t)
	s.want(200, "PUT", "/pools/t", `[{"uuid":"a","x":"é\ufffd"}]`) // valid, and has the replacement character
	s.want(200, "PUT", "/config", `{"a":1}`)
	s.want(200, "PUT", "/documents/d", `{"a":1}`)
	s.want(200, "PUT", "/tokens/t/a", `{"a":1}`)
	before := s.state()
	const merge, patch = "application/merge-patch+json", "application/json-patch+json"
	for _, c := range []struct{ method, path, body, contentType string }{
		{"PUT", "/config", "{\"a\":\"\xff\xfe\"}", ""},
		{"PATCH", "/config", "{\"a\":\"\xff\xfe\"}", merge},
		{"PATCH", "/config", "[{\"op\":\"add\",\"path\":\"/a\",\"value\":\"\xc3\"}]", patch},
		{"PUT", "/documents/d", "[\"\xed\xa0\x80\"]", ""}, // a surrogate in UTF-8
		{"PUT", "/documents/e", "\"\xc0\xaf\"", ""},       // a slash in two bytes
		{"PATCH", "/documents/d", "{\"\xff\":1}", merge},
		{"PUT", "/pools/t", "[{\"uuid\":\"a\",\"x\":\"\xff\"}]", ""},
		{"POST", "/pools/t", "{\"x\":\"\xff\"}", "application/json"},
		{"PUT", "/pools/t/a", "{\"uuid\":\"a\",\"x\":\"\xff\"}", ""},
		{"PATCH", "/pools/t/a", "{\"x\":\"\xff\"}", merge},
		{"POST", "/pools/t/a/error", "{\"message\":\"\xff\"}", "application/json"},
		{"POST", "/pools/t/a/rename", "{\"id\":\"\xff\"}", "application/json"},
		{"PUT", "/tokens/t/a", "{\"a\":\"\xff\"}", ""},
		{"PATCH", "/tokens/t/a", "{\"a\":\"\xff\"}", merge},
	} {
		a := s.want(400, c.method, c.path, c.body, "Content-Type", c.contentType)
		if !strings.Contains(a.body, "no UTF-8") || !strings.Contains(a.body, "offset ") || !strings.Contains(a.body, `"hint"`) {
			t.Errorf("%s %s: %s", c.method, c.path, a.body)
		}
	}
	equal(t, "state", s.state(), before)
}

// TestKeptBytes: what the store keeps shares no memory with the request.
func TestKeptBytes(t *testing.T) {
	s := start(t)
	const def = `{"uuid":"a","x":"kept as it was"}`
	s.want(201, "PUT", "/pools/t/a", def)
	for range 20 {
		s.want(200, "POST", "/pools/t/a/error", `{"message":"overwrites whatever is shared"}`)
		equal(t, "definition", s.want(200, "GET", "/pools/t/a?definition=true", "").body, def)
	}
}
