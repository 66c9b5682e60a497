package main

import (
	"slices"
	"strings"
)

// The providers of the typical fixture that the rows are about.
const (
	kiro     = "claude-kiro-oauth"
	kiroID   = "ab226ca1-2651-430f-a1f0-85aa0228e36e"
	otherID  = "d429f005-0350-43df-a56b-f480c68f4d39"
	api      = "/api/v1"
	kiroPool = api + "/pools/" + kiro
	kiroPath = kiroPool + "/" + kiroID
	kiroTok  = api + "/tokens/" + kiro + "/" + kiroID
	plugins  = api + "/documents/plugins.json"
)

// An endpoint is a path with what it takes.
type endpoint struct {
	method, path, good string
	// object says that the body must be an object, array that it must be an
	// array; optional that there need not be one, patch that it is a patch.
	object, array, optional, patch bool
	// wrong are methods that the path does not have.
	wrong []string
}

var endpoints = []endpoint{
	{method: "GET", path: api + "/config", wrong: []string{"POST", "DELETE"}},
	{method: "PUT", path: api + "/config", good: `{}`, object: true},
	{method: "PATCH", path: api + "/config", good: `{"LOG_LEVEL":"debug"}`, object: true, patch: true},
	{method: "GET", path: api + "/documents", wrong: []string{"PUT", "POST"}},
	{method: "GET", path: plugins, wrong: []string{"POST"}},
	{method: "PUT", path: plugins, good: `{}`},
	{method: "PATCH", path: plugins, good: `{"a":1}`, object: true, patch: true},
	{method: "DELETE", path: plugins},
	{method: "GET", path: api + "/pools", wrong: []string{"POST", "PATCH", "DELETE"}},
	{method: "PUT", path: api + "/pools?order=true", good: `[]`, array: true},
	{method: "GET", path: kiroPool, wrong: []string{"PATCH"}},
	{method: "PUT", path: kiroPool, good: `[]`, array: true},
	{method: "PUT", path: kiroPool + "?order=true", good: `[]`, array: true},
	{method: "POST", path: kiroPool, good: `{}`, object: true},
	{method: "DELETE", path: kiroPool},
	{method: "GET", path: kiroPath, wrong: []string{"POST"}},
	{method: "PUT", path: kiroPath, good: `{"uuid":"` + kiroID + `"}`, object: true},
	{method: "PATCH", path: kiroPath, good: `{"a":1}`, object: true, patch: true},
	{method: "DELETE", path: kiroPath},
	{method: "POST", path: kiroPath + "/rename", good: `{"id":"new"}`, object: true, wrong: []string{"GET"}},
	{method: "POST", path: kiroPath + "/usage", good: `{}`, object: true, optional: true, wrong: []string{"GET", "PUT"}},
	{method: "POST", path: kiroPath + "/error", good: `{}`, object: true, optional: true, wrong: []string{"GET"}},
	{method: "POST", path: kiroPath + "/success", good: `{}`, object: true, optional: true, wrong: []string{"DELETE"}},
	{method: "POST", path: kiroPath + "/health", good: `{"healthy":true}`, object: true, wrong: []string{"GET"}},
	{method: "POST", path: kiroPath + "/refresh-state", good: `{"phase":"needed"}`, object: true, wrong: []string{"GET"}},
	{method: "POST", path: kiroPath + "/reset", good: `{}`, object: true, optional: true, wrong: []string{"PATCH"}},
	{method: "GET", path: kiroTok, wrong: []string{"POST"}},
	{method: "PUT", path: kiroTok, good: `{}`, object: true},
	{method: "PATCH", path: kiroTok, good: `{"a":1}`, object: true, patch: true},
	{method: "DELETE", path: kiroTok},
	{method: "GET", path: "/metrics", wrong: []string{"POST"}},
	{method: "PUT", path: api + "/password", good: `{"password":"123456789012"}`, object: true, wrong: []string{"GET"}},
	{method: "POST", path: api + "/password/verify", good: `{"password":"x"}`, object: true, wrong: []string{"GET"}},
	{method: "GET", path: api + "/status", wrong: []string{"POST"}},
	{method: "GET", path: api + "/journal", wrong: []string{"POST", "DELETE"}},
	{method: "POST", path: api + "/journal/retry", good: `{"all":true}`, object: true, wrong: []string{"GET"}},
	{method: "POST", path: api + "/journal/discard", good: `{"entries":[17]}`, object: true, wrong: []string{"PUT"}},
}

// requestRows are the faults that every endpoint can meet, and those of one.
func (b *refuser) requestRows() []refusal {
	var rows []refusal
	var keys, bodies [][]refusal
	for i := range endpoints {
		e := &endpoints[i]
		keys = append(keys, e.keyRows())
		if e.good != "" {
			bodies = append(bodies, e.bodyRows())
		}
		if len(e.wrong) > 0 {
			rows = append(rows, e.methodRows()...)
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/openapi.json", "/docs"} {
		rows = append(rows, refusal{method: "POST", path: path, state: 405, code: "invalid", names: "POST"})
	}
	return slices.Concat(spread(keys), spread(bodies), rows, thingRows(), conditionRows(), fieldRows(), nameRows(), sizeRows(), restRows())
}

func (e *endpoint) row(code, names string) refusal {
	r := refusal{method: e.method, path: e.path, body: e.good, code: code, names: names, header: map[string]string{}}
	if e.good != "" {
		r.header["Content-Type"] = "application/json"
	}
	return r
}

// keyRows: no key, a wrong one, an empty one, and one where none is read.
func (e *endpoint) keyRows() []refusal {
	var rows []refusal
	for i, key := range []string{"none", "Bearer " + planted, "Bearer ", "Basic " + planted} {
		r := e.row("unauthorized", "API key")
		if r.key = key; i == 3 {
			r.path += map[bool]string{true: "&", false: "?"}[strings.Contains(r.path, "?")] + "key=" + planted
		}
		rows = append(rows, r)
	}
	return rows
}

// bodyRows: bodies that are not what the endpoint takes.
func (e *endpoint) bodyRows() []refusal {
	var rows []refusal
	bad := func(body, names string) {
		r := e.row("invalid", names)
		r.body = body
		rows = append(rows, r)
	}
	bad(`{"a": "`+planted+`"`, "JSON")
	bad(`{"a":1} {"b":2}`, "JSON")
	bad(`{"`+planted+`":}`, "JSON")
	if e.object {
		bad(`[]`, "JSON object")
		bad(`"text"`, "JSON object")
	}
	if e.array {
		bad(`{}`, "not a JSON array")
	}
	if !e.optional {
		bad(``, "no body")
	}
	for _, h := range [][2]string{{"Content-Type", "text/plain"}, {"Content-Type", "application/json; charset=latin1"}, {"Content-Encoding", "gzip"}} {
		r := e.row("invalid", "Content-")
		r.header[h[0]], r.state = h[1], 415
		rows = append(rows, r)
	}
	return rows
}

func (e *endpoint) methodRows() []refusal {
	var rows []refusal
	for _, method := range e.wrong {
		r := refusal{method: method, path: e.path, state: 405, code: "invalid", names: method}
		rows = append(rows, r)
	}
	r := e.row("invalid", "parameter")
	r.path += "?unknown=true"
	r2 := e.row("forbidden", "Host header")
	r2.header["Host"] = "evil.example"
	r3 := e.row("forbidden", "origin")
	r3.header["Origin"] = "http://evil.example"
	return append(rows, r, r2, r3)
}

// do makes a row of a request with JSON.
func do(method, path, body, code, names string) refusal {
	r := refusal{method: method, path: path, body: body, code: code, names: names, header: map[string]string{}}
	if body != "" {
		r.header["Content-Type"] = "application/json"
	}
	return r
}

// thingRows: what is not there.
func thingRows() []refusal {
	var rows []refusal
	const gone = "no-such-id"
	for _, e := range endpoints {
		if strings.HasPrefix(e.path, kiroPath) || e.path == kiroTok {
			if e.method == "PUT" && e.path == kiroPath {
				continue // which adds it
			}
			r := e.row("not-found", gone)
			r.path = strings.Replace(e.path, kiroID, gone, 1)
			rows = append(rows, r)
			r = e.row("not-found", "no-such-type")
			r.path = strings.Replace(e.path, kiro, "no-such-type", 1)
			rows = append(rows, r)
		}
	}
	return append(rows,
		do("GET", api+"/pools/no-such-type", "", "not-found", "no-such-type"),
		do("DELETE", api+"/pools/no-such-type", "", "not-found", "no-such-type"),
		do("GET", api+"/documents/no-such.json", "", "not-found", "no-such.json"),
		do("PATCH", api+"/documents/no-such.json", `{"a":1}`, "not-found", "no-such.json"),
		do("DELETE", api+"/documents/no-such.json", "", "not-found", "no-such.json"),
		do("GET", api+"/nothing", "", "not-found", "path"),
		do("GET", api+"/sessions", "", "invalid", "Session-Bearer"),
		do("PUT", api+"/sessions", `{}`, "invalid", "Session-Bearer"),
		do("DELETE", api+"/sessions", "", "invalid", "Session-Bearer"),
		do("GET", api+"/pools/", "", "not-found", "path"),
		do("GET", api+"//pools", "", "not-found", "path"),
		do("GET", "/nothing", "", "not-found", "path"),
		do("POST", kiroPath+"/nothing", "", "not-found", "path"),
	)
}
