package server

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// oddDocument is one that decoding and encoding would change.
const oddDocument = "{ \"a\" :\t1.0, \"big\":900719925474099312345, \"a\": 1e400,\r\n \"s\":\"\\u003c\\ud800\\/\", \"n\":null, \"e\":[] }\n"

func TestConfig(t *testing.T) {
	s := start(t)
	s.want(404, "GET", "/config", "")
	put := s.want(200, "PUT", "/config", oddDocument)
	equal(t, "status", put.field(t, "status"), `"applied"`)
	equal(t, "changed", put.field(t, "changed"), `true`)
	get := s.want(200, "GET", "/config", "")
	equal(t, "bytes", get.body, oddDocument)
	equal(t, "ETag", get.header.Get("Etag"), `"`+poolkeeper.ETag([]byte(oddDocument))+`"`)
	equal(t, "ETag of the write", put.header.Get("Etag"), get.header.Get("Etag"))
	equal(t, "again", s.want(200, "PUT", "/config", oddDocument).field(t, "changed"), `false`)
	s.want(200, "PATCH", "/config", `{"n":7,"e":null}`)
	equal(t, "patched", s.want(200, "GET", "/config", "").body,
		"{ \"a\" :\t1.0, \"big\":900719925474099312345, \"a\": 1e400,\r\n \"s\":\"\\u003c\\ud800\\/\", \"n\":7 }\n")
	s.want(405, "DELETE", "/config", "")
}

func TestDocuments(t *testing.T) {
	s := start(t)
	equal(t, "empty list", s.want(200, "GET", "/documents", "").body, "[]\n")
	s.want(200, "PUT", "/documents/plugins.json", oddDocument)
	s.want(200, "PUT", "/documents/array", `[1, 2]`)
	var list []documentEntry
	if err := json.Unmarshal([]byte(s.want(200, "GET", "/documents", "").body), &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0] != (documentEntry{"array", 6, poolkeeper.ETag([]byte(`[1, 2]`))}) {
		t.Errorf("list: %+v", list)
	}
	s.want(400, "PATCH", "/documents/array", `{"a":1}`) // no object
	s.want(404, "PATCH", "/documents/none", `{"a":1}`)
	s.want(200, "DELETE", "/documents/array", "")
	s.want(404, "DELETE", "/documents/array", "")
	s.want(400, "GET", "/documents/config", "")
	for _, name := range []string{"plugins", "usage-cache", "usage:cache", "token-store", "custom_models"} {
		s.want(400, "PUT", "/documents/"+name, "{}")
		s.want(400, "PATCH", "/documents/"+name, "{}")
		s.want(400, "GET", "/documents/"+name, "")
	}
}

// TestDamagedDocument: what is carried may be no JSON, and is not called JSON.
func TestDamagedDocument(t *testing.T) {
	snap := poolkeeper.NewSnapshot()
	snap.Values[poolkeeper.DocumentKey("broken")] = poolkeeper.Document{Data: []byte(`{"a":`)}
	snap.Values[poolkeeper.DocumentKey("latin.json")] = poolkeeper.Document{Data: []byte("{\"a\":\"\xe9\"}")}
	st := poolkeeper.New(memstore.New(nil), nil)
	if err := st.Restore(context.Background(), snap); err != nil {
		t.Fatal(err)
	}
	s := startOver(t, st)
	a := s.want(200, "GET", "/documents/broken", "")
	equal(t, "bytes", a.body, `{"a":`)
	equal(t, "type", a.header.Get("Content-Type"), "application/octet-stream")
	a = s.want(200, "GET", "/documents/latin.json", "")
	equal(t, "bytes that are no UTF-8", a.body, "{\"a\":\"\xe9\"}")
	equal(t, "type of those", a.header.Get("Content-Type"), "application/octet-stream")
}

func TestPatchDialects(t *testing.T) {
	const from = `{"a":1,"b":{"c":2},"l":[1,2]}`
	const merge, patch = "application/merge-patch+json", "application/json-patch+json"
	for _, c := range []struct {
		contentType, body string
		status            int
		to                string
	}{
		{merge, `{"a":null}`, 200, `{"b":{"c":2},"l":[1,2]}`},
		{"application/json", `{"b":{"d":3}}`, 200, `{"a":1,"b":{"c":2,"d":3},"l":[1,2]}`},
		{"application/json; charset=UTF-8", `{"a":2}`, 200, `{"a":2,"b":{"c":2},"l":[1,2]}`},
		{patch, `[{"op":"replace","path":"/a","value":null}]`, 200, `{"a":null,"b":{"c":2},"l":[1,2]}`},
		{patch, `[{"op":"add","path":"/l/-","value":3.0}]`, 200, `{"a":1,"b":{"c":2},"l":[1,2,3.0]}`},
		{patch, `[{"op":"remove","path":"/a"},{"op":"test","path":"/b/c","value":9}]`, 400, from},
		{patch, `{"a":2}`, 400, from},
		{merge, `[]`, 400, from},
		{merge, `{"a":`, 400, from},
		{"text/plain", `{"a":2}`, 415, from},
		{"", `{"a":2}`, 415, from},
		{"application/json; charset=latin-1", `{"a":2}`, 415, from},
		{"application/x-www-form-urlencoded", `{"a":2}`, 415, from},
	} {
		s := start(t)
		s.want(200, "PUT", "/config", from)
		s.want(c.status, "PATCH", "/config", c.body, "Content-Type", c.contentType)
		equal(t, c.contentType+" "+c.body, s.want(200, "GET", "/config", "").body, c.to)
	}
}

func TestConditions(t *testing.T) {
	s := start(t)
	pool := func() string { return s.want(200, "GET", "/pools/t", "").header.Get("Etag") }
	s.want(412, "PUT", "/config", `{}`, "If-Match", "*")
	s.want(200, "PUT", "/config", `{}`, "If-None-Match", "*")
	s.want(412, "PUT", "/config", `{"a":1}`, "If-None-Match", "*")
	s.want(201, "POST", "/pools/t", `{"uuid":"a"}`)
	s.want(200, "PUT", "/tokens/t/a", `{"t":1}`, "If-None-Match", "*")
	first := pool()
	s.want(200, "POST", "/pools/t/a/usage", "")
	equal(t, "usage leaves the ETag of the pool", pool(), first)

	for _, path := range []string{"/config", "/pools/t/a", "/tokens/t/a"} {
		get := s.want(200, "GET", path, "")
		tag := get.header.Get("Etag")
		equal(t, path, s.want(304, "GET", path, "", "If-None-Match", tag).body, "")
		s.want(304, "GET", path, "", "If-None-Match", `"x", W/`+tag)
		s.want(304, "HEAD", path, "", "If-None-Match", "*")
		s.want(200, "GET", path, "", "If-None-Match", `"x"`)

		before := s.state()
		for header, status := range map[string]int{
			`"00000000000000000000000000000000"`: 412, `"absent"`: 412, `"present"`: 412, `""`: 412, `W/` + tag: 412,
			`absent`: 400, `present`: 400, tag + ", " + tag: 400, `"`: 400, `"a"b"`: 400,
		} {
			for _, method := range []string{"PATCH", "DELETE", "PUT"} {
				if path == "/config" && method == "DELETE" {
					continue
				}
				body := `{"uuid":"a","x":1}`
				if method == "DELETE" {
					body = ""
				}
				s.want(status, method, path, body, "If-Match", header)
			}
		}
		s.want(400, "PUT", path, `{"uuid":"a"}`, "If-None-Match", `"x"`)
		s.want(400, "PUT", path, `{"uuid":"a"}`, "If-Match", "*", "If-None-Match", "*")
		equal(t, path, s.state(), before)

		s.want(200, "PATCH", path, `{"x":1}`, "If-Match", tag)
		s.want(412, "PATCH", path, `{"x":2}`, "If-Match", tag)
		s.want(200, "PATCH", path, `{"x":2}`, "If-Match", "*")
	}

	s.want(412, "PUT", "/pools/t", `[]`, "If-Match", first)
	now := pool()
	s.want(304, "GET", "/pools/t", "", "If-None-Match", now)
	s.want(412, "PUT", "/pools/t", `[]`, "If-None-Match", "*")
	s.want(412, "DELETE", "/pools/t", "", "If-Match", first)
	s.want(412, "PUT", "/pools/t?order=true", `["a"]`, "If-Match", first)
	s.want(200, "PUT", "/pools/t?order=true", `["a"]`, "If-Match", now)
	s.want(200, "DELETE", "/pools/t", "", "If-Match", now)
	s.want(412, "DELETE", "/pools/t", "", "If-Match", `"absent"`)

	for _, path := range []string{"/pools/t", "/pools/t/a/usage", "/pools/t/a/reset"} {
		s.want(400, "POST", path, `{}`, "If-Match", "*")
		s.want(400, "POST", path, `{}`, "If-None-Match", "*")
	}
}
