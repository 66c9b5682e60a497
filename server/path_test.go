package server

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

var oddNames = []string{
	"plain", "", "a{b}c", "}", "{", "/", "//", "a/b", "/a", "a/", ".", "..", "...", "~", "~~", "~x", "a b", " ", "100%", "%2F", "%", "a:b", "x\ny", "\x00",
	"*[?]{}", "?definition=true", "#", "usage", "order", "测试", "é", "a&b=c", "a;b", "a+b", `"`, `\`, "../../healthz", "<script>",
}

// TestOddNames takes every odd type and id through real HTTP: add, read, count,
// patch, rename, token, delete.
func TestOddNames(t *testing.T) {
	s := start(t)
	for i, typ := range oddNames {
		for _, next := range []int{0, 1, 7} {
			id := oddNames[(i+next)%len(oddNames)]
			if id == "" || id == "\x00" || id[0] == '~' {
				continue
			}
			pool := "/pools/" + poolkeeper.EscapeSegment(typ)
			one := pool + "/" + poolkeeper.EscapeSegment(id)
			def := fmt.Sprintf(`{"uuid":%s,"n":1.0}`, rawjson.Quote(id))
			a := s.want(201, "POST", pool, def)
			equal(t, "Location", a.header.Get("Location"), base+one)
			equal(t, "id", a.field(t, "id"), string(rawjson.Quote(id)))
			equal(t, "single", s.want(200, "GET", one, "").body, def)
			equal(t, "list", s.want(200, "GET", pool, "").body, "["+def+"]")
			equal(t, "usage", s.want(200, "POST", one+"/usage", "").field(t, "usageCount"), "1")
			s.want(200, "PATCH", one, `{"x":null,"n":2}`)
			s.want(200, "PUT", "/tokens/"+poolkeeper.EscapeSegment(typ)+"/"+poolkeeper.EscapeSegment(id), `{"refresh_token":"r"}`)
			equal(t, "token", s.want(200, "GET", "/tokens/"+poolkeeper.EscapeSegment(typ)+"/"+poolkeeper.EscapeSegment(id), "").body, `{"refresh_token":"r"}`)
			s.want(200, "DELETE", one, "")
			s.want(404, "GET", one, "")
			s.want(200, "DELETE", pool, "")
		}
	}
}

func TestOddDocumentNames(t *testing.T) {
	s := start(t)
	for _, name := range oddNames {
		path := "/documents/" + poolkeeper.EscapeSegment(name)
		if poolkeeper.ValidateDocumentName(name) != nil {
			s.want(400, "PUT", path, `{}`)
			continue
		}
		s.want(200, "PUT", path, `{"a": 1.0}`)
		equal(t, name, s.want(200, "GET", path, "").body, `{"a": 1.0}`)
		s.want(200, "DELETE", path, "")
	}
}

// TestBadPaths sends request lines as they stand: no client has cleaned them.
func TestBadPaths(t *testing.T) {
	s := start(t)
	s.want(201, "POST", "/pools/t", `{"uuid":"a"}`)
	before := s.state()
	for path, want := range map[string]int{
		base + "/pools/":               404,
		base + "/pools//a":             404,
		base + "/pools/t/":             404,
		base + "/pools/t//usage":       404,
		base + "/pools/t/./a":          404,
		base + "/pools/t/../t/a":       404,
		base + "/pools/t/x/../a":       404,
		base + "//pools":               404,
		"/api/v1":                      404,
		"/":                            404,
		"*":                            404,
		"/nothing":                     404,
		base + "/pools/t/a/nothing":    404,
		base + "/pools/t/a/usage/more": 404,
		base + "/pools/~a":             400,
		base + "/pools/t/~":            400,
		base + "/pools/t/%FF":          400,
		base + "/pools/" + strings.Repeat("x", 257):         413,
		base + "/pools/t/" + strings.Repeat("x", 513):       413,
		base + "/pools/t/a?definiton=true":                  400,
		base + "/pools/t/a?definition=yes":                  400,
		base + "/pools/t/a?definition":                      400,
		base + "/pools/t/a?definition=true&definition=true": 400,
		base + "/pools/t/a?%zz":                             400,
		base + "/pools/t/a?key=" + testKey:                  400,
		base + "/pools/t/%61":                               200,
		base + "/pools/t/a?definition=true":                 200,
	} {
		status, header, body := raw(t, s, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+testKey+"\r\nConnection: close\r\n\r\n")
		if status != want {
			t.Errorf("GET %s: %d, want %d\n%s", path, status, want, body)
		}
		if l := header.Get("Location"); l != "" {
			t.Errorf("GET %s redirects to %s", path, l)
		}
		if status >= 400 {
			checkProblem(t, path, answer{status, header, body})
		}
	}
	equal(t, "state", s.state(), before)
	_, _, body := raw(t, s, "GET "+base+"/pools//a HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+testKey+"\r\n\r\n")
	if !strings.Contains(body, "empty or dot segment") {
		t.Errorf("the way out is not named: %s", body)
	}
}

func TestMethods(t *testing.T) {
	s := start(t)
	s.want(201, "POST", "/pools/t", `{"uuid":"a"}`)
	for path, allow := range map[string]string{
		"/config":          "GET, HEAD, PATCH, PUT",
		"/pools":           "GET, HEAD, PUT",
		"/pools/t":         "DELETE, GET, HEAD, POST, PUT",
		"/pools/t/a":       "DELETE, GET, HEAD, PATCH, PUT",
		"/pools/t/a/usage": "POST",
		"/status":          "GET, HEAD",
	} {
		a := s.want(405, "OPTIONS", path, "")
		equal(t, path, a.header.Get("Allow"), allow)
	}
	a := s.send("POST", "/healthz", "")
	if a.status != 405 {
		t.Errorf("POST /healthz: %d", a.status)
	}
}

func TestHead(t *testing.T) {
	s := start(t)
	s.want(200, "PUT", "/config", `{"a":1}`)
	s.want(201, "POST", "/pools/t", `{"uuid":"a"}`)
	for _, path := range []string{"/config", "/pools", "/pools/t", "/pools/t/a", "/documents"} {
		get, head := s.want(200, "GET", path, ""), s.want(200, "HEAD", path, "")
		equal(t, path, head.body, "")
		for _, h := range []string{"Content-Type", "Etag", "Content-Length"} {
			equal(t, path+" "+h, head.header.Get(h), get.header.Get(h))
		}
	}
	s.want(404, "HEAD", "/pools/none", "")
}

// raw sends bytes and reads one answer.
func raw(t *testing.T, s *service, request string) (int, http.Header, string) {
	t.Helper()
	c, err := net.Dial("tcp", s.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(request)); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	defer res.Body.Close()
	var b strings.Builder
	if _, err := bufio.NewReader(res.Body).WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, b.String()
}
