package server

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestProvider(t *testing.T) {
	s := start(t)
	const def = `{ "uuid":"a", "usageCount": 7, "x": 1.0 }`
	put := s.want(201, "PUT", "/pools/t/a", def)
	get := s.want(200, "GET", "/pools/t/a", "")
	equal(t, "ETag", put.header.Get("Etag"), get.header.Get("Etag"))
	equal(t, "usage", s.want(200, "POST", "/pools/t/a/usage", "").field(t, "usageCount"), "8")
	equal(t, "definition", s.want(200, "GET", "/pools/t/a?definition=true", "").body, def)
	equal(t, "effective", s.want(200, "GET", "/pools/t/a", "").field(t, "usageCount"), "8")
	equal(t, "ETag after traffic", s.want(200, "GET", "/pools/t/a", "").header.Get("Etag"), get.header.Get("Etag"))
	s.want(400, "PUT", "/pools/t/b", def)
	s.want(400, "PATCH", "/pools/t/a", `{"usageCount":0}`)
	s.want(400, "PATCH", "/pools/t/a", `{"uuid":"b"}`)
	s.want(404, "PATCH", "/pools/t/b", `{"x":0}`)
	s.want(200, "PATCH", "/pools/t/a", `{"x":2.50}`)
	equal(t, "patched", s.want(200, "GET", "/pools/t/a?definition=true", "").body, `{ "uuid":"a", "usageCount": 7, "x": 2.50 }`)
	s.want(200, "DELETE", "/pools/t/a", "")
	s.want(404, "DELETE", "/pools/t/a", "")
}

func TestRename(t *testing.T) {
	s := start(t)
	s.want(201, "POST", "/pools/t", `{"uuid":"a"}`)
	s.want(201, "POST", "/pools/t", `{"uuid":"taken"}`)
	s.want(200, "PUT", "/tokens/t/a", `{"r":1}`)
	s.want(200, "POST", "/pools/t/a/usage", `{"n":4}`)
	s.want(409, "POST", "/pools/t/a/rename", `{"id":"taken"}`)
	s.want(400, "POST", "/pools/t/a/rename", `{"id":"~x"}`)
	s.want(400, "POST", "/pools/t/a/rename", `{"id":""}`)
	s.want(412, "POST", "/pools/t/a/rename", `{"id":"b"}`, "If-Match", `"x"`)
	equal(t, "rename", s.want(200, "POST", "/pools/t/a/rename", `{"id":"b/c"}`).field(t, "id"), `"b/c"`)
	get := s.want(200, "GET", "/pools/t/a", "")
	equal(t, "under the old id", get.header.Get("Content-Location"), "/api/v1/pools/t/b%2Fc")
	a := s.want(200, "POST", "/pools/t/a/usage", "")
	equal(t, "count follows", a.field(t, "usageCount"), "5")
	equal(t, "id follows", a.field(t, "id"), `"b/c"`)
	a = s.want(200, "POST", "/pools/t/b%2Fc/usage", "")
	equal(t, "no news", a.field(t, "id"), "")
	equal(t, "token", s.want(200, "GET", "/tokens/t/b%2Fc", "").body, `{"r":1}`)
	equal(t, "token under the old id", s.want(200, "GET", "/tokens/t/a", "").body, `{"r":1}`)
}

func TestTokens(t *testing.T) {
	s := start(t)
	s.want(404, "PUT", "/tokens/t/a", `{}`)
	s.want(201, "POST", "/pools/t", `{"uuid":"a","KIRO_OAUTH_CREDS_FILE_PATH":"./configs/k.json"}`)
	s.want(201, "POST", "/pools/t", `{"uuid":"b","KIRO_OAUTH_CREDS_FILE_PATH":"configs/k.json"}`)
	s.want(404, "GET", "/tokens/t/a", "")
	put := s.want(200, "PUT", "/tokens/t/a", `{"refresh_token":"r1","n":1.0}`)
	equal(t, "no id", put.field(t, "id"), "")
	get := s.want(200, "GET", "/tokens/t/b", "")
	equal(t, "shared", get.body, `{"refresh_token":"r1","n":1.0}`)
	equal(t, "ETag", get.header.Get("Etag"), put.header.Get("Etag"))
	s.want(200, "PATCH", "/tokens/t/b", `{"refresh_token":"r2"}`, "If-Match", get.header.Get("Etag"))
	s.want(412, "PUT", "/tokens/t/a", `{}`, "If-Match", get.header.Get("Etag"))
	equal(t, "patched", s.want(200, "GET", "/tokens/t/a", "").body, `{"refresh_token":"r2","n":1.0}`)
	s.want(400, "PUT", "/tokens/t/a", `[]`)
	s.want(200, "DELETE", "/tokens/t/b", "")
	s.want(404, "GET", "/tokens/t/a", "")
	s.want(404, "DELETE", "/tokens/t/a", "")
}

func TestTraffic(t *testing.T) {
	s := start(t)
	s.want(200, "PUT", "/config", `{"MAX_ERROR_COUNT":2}`)
	s.want(201, "POST", "/pools/t", `{"uuid":"a"}`)
	for _, c := range []struct{ action, body, field, want, healthy string }{
		{"usage", "", "usageCount", "1", ""},
		{"usage", "{}", "usageCount", "2", ""},
		{"usage", `{"n":10}`, "usageCount", "12", ""},
		{"error", `{"message":"boom"}`, "errorCount", "1", "true"},
		{"error", "", "errorCount", "2", "false"},
		{"success", `{"n":1}`, "usageCount", "13", "true"},
		{"success", "", "usageCount", "13", "true"},
		{"error", `{"markUnhealthy":true}`, "errorCount", "2", "false"},
		{"health", `{"healthy":true,"model":"m"}`, "errorCount", "0", "true"},
		{"health", `{"healthy":false,"message":"no"}`, "errorCount", "2", "false"},
		{"refresh-state", `{"phase":"started"}`, "refreshCount", "1", "false"},
		{"refresh-state", `{"phase":"done"}`, "errorCount", "0", "false"},
		{"refresh-state", `{"phase":"failed","message":"x"}`, "errorCount", "1", "false"},
		{"refresh-state", `{"phase":"needed"}`, "refreshCount", "0", "false"},
		{"error", `{"recoverAt":"2030-01-02T03:04:05.5+01:00"}`, "errorCount", "2", "false"},
		{"reset", "", "usageCount", "13", "true"},
		{"reset", `{"usage":true}`, "usageCount", "0", "true"},
	} {
		a := s.want(200, "POST", "/pools/t/a/"+c.action, c.body)
		equal(t, c.action+" "+c.body, a.field(t, c.field), c.want)
		equal(t, c.action+" "+c.body+": health", a.field(t, "isHealthy"), c.healthy)
		switch c.body {
		case `{"recoverAt":"2030-01-02T03:04:05.5+01:00"}`:
			equal(t, "recovery", s.want(200, "GET", "/pools/t/a", "").field(t, "scheduledRecoveryTime"), `"2030-01-02T02:04:05.500Z"`)
		case `{"message":"boom"}`:
			equal(t, "message", s.want(200, "GET", "/pools/t/a", "").field(t, "lastErrorMessage"), `"boom"`)
		}
	}
	for _, action := range []string{"usage", "error", "success", "reset"} {
		s.want(404, "POST", "/pools/t/none/"+action, "")
		s.want(404, "POST", "/pools/none/a/"+action, "")
	}
}

func TestStatus(t *testing.T) {
	s := start(t)
	s.want(200, "PUT", "/pools/t", `[]`)
	a := s.want(200, "GET", "/status", "")
	for field, want := range map[string]string{"backend": `"memory"`, "version": `"1.2.3"`, "ready": "true", "pools": "1"} {
		equal(t, field, a.field(t, field), want)
	}
	if !strings.Contains(a.body, `"uptimeSeconds":`) {
		t.Error(a.body)
	}
}

// TestCreated: a provider that was added is 201 with its Location, whichever way
// it was added; one that was there is 200 without.
func TestCreated(t *testing.T) {
	s := start(t)
	for _, c := range []struct {
		status            int
		method, path      string
		body, header, val string
	}{
		{201, "POST", "/pools/t", `{"uuid":"a"}`, "", ""},
		{200, "PUT", "/pools/t/a", `{"uuid":"a","n":1}`, "", ""},
		{201, "PUT", "/pools/t/b", `{"uuid":"b"}`, "", ""},
		{200, "PUT", "/pools/t/b", `{"uuid":"b"}`, "", ""}, // as it is
		{201, "PUT", "/pools/t/c%20d", `{"uuid":"c d"}`, "If-None-Match", "*"},
		{412, "PUT", "/pools/t/b", `{"uuid":"b"}`, "If-None-Match", "*"},
		{200, "PUT", "/pools/t/b", `{"uuid":"b","n":2}`, "If-Match", "*"},
		{412, "PUT", "/pools/t/e", `{"uuid":"e"}`, "If-Match", "*"},
		{200, "POST", "/pools/t/b/rename", `{"id":"f"}`, "", ""},
		{201, "PUT", "/pools/t/b", `{"uuid":"b"}`, "", ""}, // another one than that which had the id
		{201, "PUT", "/pools/~/~~x", `{}`, "", ""},
	} {
		var headers []string
		if c.header != "" {
			headers = []string{c.header, c.val}
		}
		a := s.want(c.status, c.method, c.path, c.body, headers...)
		want := ""
		if c.status == 201 {
			want = base + c.path
			if c.method == "POST" {
				want += "/a"
			}
		}
		equal(t, c.method+" "+c.path+": Location", a.header.Get("Location"), want)
	}
}

// TestCreatedIsDescribed: the document says 201, and where its Location is, of
// the routes that add a provider, and of no other.
func TestCreatedIsDescribed(t *testing.T) {
	var doc struct {
		Paths map[string]map[string]struct {
			Responses map[string]struct{ Headers map[string]any }
		}
	}
	if err := json.Unmarshal([]byte(start(t).send("GET", pathOpenAPI, "").body), &doc); err != nil {
		t.Fatal(err)
	}
	var creates []string
	for path, methods := range doc.Paths {
		for method, op := range methods {
			if r, ok := op.Responses["201"]; ok {
				creates = append(creates, method+" "+path)
				if r.Headers["Location"] == nil || r.Headers["ETag"] == nil {
					t.Errorf("%s %s: headers %v", method, path, r.Headers)
				}
			}
		}
	}
	slices.Sort(creates)
	equal(t, "routes with 201", strings.Join(creates, ", "), "post "+base+"/pools/{type}, put "+base+"/pools/{type}/{id}")
}
