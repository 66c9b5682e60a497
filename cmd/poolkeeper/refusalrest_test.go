package main

import (
	"net/http"
	"strings"

	"github.com/poolkeeper/poolkeeper"
)

// usedKey is an idempotency key that has counted one use of kiroID.
const usedKey = "the-key-that-was-used"

// use counts under usedKey, before what is stored is looked at.
func (b *refuser) use() {
	b.Helper()
	status, _, body := b.send(&refusal{method: "POST", path: kiroPath + "/usage", header: map[string]string{"Idempotency-Key": usedKey}})
	if status != http.StatusOK {
		b.Fatalf("%d %s", status, body)
	}
}

// headed adds headers, which are pairs, to a row.
func (r refusal) headed(headers ...string) refusal {
	if r.header == nil {
		r.header = map[string]string{}
	}
	for i := 0; i < len(headers); i += 2 {
		r.header[headers[i]] = headers[i+1]
	}
	return r
}

// at gives a row the status that is not that of its code.
func (r refusal) at(state int) refusal {
	r.state = state
	return r
}

// restRows are the faults of the paths that take more than a body.
func restRows() []refusal {
	rows := append(onceRows(), tagRows()...)
	rows = append(rows, batchRows()...)
	rows = append(rows, accessRows()...)
	return append(rows, docsRows()...)
}

// onceRows: idempotency keys that are none, and where none is taken.
func onceRows() []refusal {
	use := func(code, names, key, body string) refusal {
		return do("POST", kiroPath+"/usage", body, code, names).headed("Idempotency-Key", key)
	}
	rows := []refusal{
		use("invalid", "Idempotency-Key is empty", "", ""),
		use("invalid", "idempotency key", "two words", ""),
		use("invalid", "idempotency key", "tab\there", ""),
		use("invalid", "idempotency key", "ключ", ""),
		use("invalid", "idempotency key", "\xff", ""),
		use("too-large", "256", strings.Repeat("k", 256), ""),
		use("reused", "idempotency key", usedKey, `{"n":2}`),
		use("invalid", "field n", usedKey, `{"n":0}`),
		do("POST", kiroPool+"/"+otherID+"/usage", "", "reused", "idempotency key").headed("Idempotency-Key", usedKey),
		do("POST", kiroPool+"/no-such-id/usage", "", "not-found", "no-such-id").headed("Idempotency-Key", "another-key"),
	}
	for _, e := range endpoints {
		if !strings.HasSuffix(e.path, "/usage") {
			rows = append(rows, e.row("invalid", "Idempotency-Key is not honoured").headed("Idempotency-Key", usedKey))
		}
	}
	return rows
}

// tagRows: conditions that are none.
func tagRows() []refusal {
	var rows []refusal
	for _, value := range []string{"", `"`, `"a`, `"a", "b"`, `"a" "b"`, `'a'`, `w/"a"`, "\xff", planted} {
		rows = append(rows, do("PUT", plugins, `{}`, "invalid", "If-Match").headed("If-Match", value))
	}
	for _, value := range []string{"", `"*"`, "**", planted} {
		rows = append(rows, do("PUT", plugins, `{}`, "invalid", "If-None-Match").headed("If-None-Match", value))
	}
	for _, tag := range []string{`""`, `"absent"`, `"present"`, `"*"`, `"` + planted + `"`, `W/"present"`} {
		rows = append(rows, do("DELETE", plugins, "", "conflict", "").headed("If-Match", tag),
			do("PATCH", kiroPath, `{"a":1}`, "conflict", "").headed("If-Match", tag))
	}
	return append(rows,
		do("PUT", plugins, `{}`, "invalid", "more than one").headed("If-Match", "*", "If-None-Match", "*"),
		do("PUT", kiroPool+"?order=true", `["x"]`, "conflict", "").headed("If-Match", `"1-0123456789abcdef-1"`),
		do("DELETE", api+"/pools/no-such-type", "", "conflict", "no-such-type").headed("If-Match", `"1-0123456789abcdef-1"`),
	)
}

// batchRows: what cannot be read as ops, keys or a snapshot.
func batchRows() []refusal {
	var rows []refusal
	many := "[" + strings.Repeat(`{"kind":"usage","key":{"kind":"pool","type":"t"},"id":"a","n":1},`, 1000)
	for body, names := range map[string]string{
		``: "no body", `{}`: "not a JSON array", `{"kind":"usage"}`: "not a JSON array", `"` + planted + `"`: "not a JSON array", `[`: "not a JSON array", `[{}]`: "element 0",
		`[5]`: "element 0", `[{"kind":5}]`: "element 0", `[{"kind":"usage","key":{"kind":"pool","type":"t"},"id":"a","n":1,"more":1}]`: "element 0", `[{"data":"` + planted + `"}]`: "element 0",
		`[{"kind":"usage","key":{"kind":"pool","type":"t"},"id":"a","n":1},null]`: "element 1", `["` + planted + `"]`: "element 0",
		`[{"kind":"put","key":{"kind":"config"},"data":"` + "\xff" + `"}]`: "UTF-8", `[] []`: "not a JSON array",
	} {
		rows = append(rows, do("POST", api+"/ops", body, "invalid", names))
	}
	rows = append(rows, do("POST", api+"/ops", many[:len(many)-1]+`,{"kind":"usage","key":{"kind":"pool","type":"t"},"id":"a","n":1}]`, "too-large", "1000 ops"))
	for body, names := range map[string]string{
		``: "no body", `{}`: "not a JSON array", `[5]`: "element 0", `[{}]`: "kind", `[{"kind":"nothing"}]`: "kind", `[{"kind":"config"},{"kind":"config","more":"` + planted + `"}]`: "element 1",
		`[{"kind":"config"}`: "not a JSON array",
	} {
		rows = append(rows, do("POST", api+"/load", body, "invalid", names))
	}
	const whole = "{\"snapshot\":1}\n{\"end\":0}\n"
	restore := func(code, names, body string) refusal {
		return do("POST", api+"/restore", body, code, names).headed("Content-Type", "application/x-ndjson")
	}
	for body, names := range map[string]string{
		``: "snapshot", planted: "snapshot", `{"snapshot":1}`: "last line", "{\"snapshot\":99}\n{\"end\":0}\n": "snapshot", "{\"snapshot\":1}\n{\"more\":\"" + planted + "\"}\n{\"end\":1}\n": "snapshot",
		whole + "{}": "snapshot", "{\"snapshot\":1}\n{\"end\":7}\n": "snapshot", "[]\n": "snapshot",
	} {
		rows = append(rows, restore("invalid", names, body))
	}
	rows = append(rows, restore("exists", "initialised", whole))
	for _, path := range []string{"/ops", "/load", "/restore"} {
		for _, media := range []string{"text/plain", "application/json; charset=latin1", "application/octet-stream"} {
			rows = append(rows, do("POST", api+path, `[]`, "invalid", "Content-Type").headed("Content-Type", media).at(415))
		}
		rows = append(rows,
			do("POST", api+path, `[]`, "invalid", "Content-Encoding").headed("Content-Encoding", "gzip").at(415),
			do("POST", api+path, `[]`, "invalid", "If-Match").headed("If-Match", "*"),
			do("POST", api+path, `[]`, "invalid", "Idempotency-Key").headed("Idempotency-Key", "x"),
			do("POST", api+path+"?all=true", `[]`, "invalid", "parameter"),
			do("GET", api+path, "", "invalid", "GET").at(405),
			do("PUT", api+path, "[]", "invalid", "PUT").at(405),
		)
		for _, key := range []string{"none", "Bearer " + planted, "Bearer "} {
			r := do("POST", api+path, whole, "unauthorized", "API key")
			r.key = key
			rows = append(rows, r)
		}
	}
	return rows
}

// accessRows: passwords, sessions and logins.
func accessRows() []refusal {
	var rows []refusal
	for _, path := range []string{"/password", "/password/verify"} {
		method := "PUT"
		if path != "/password" {
			method = "POST"
		}
		for body, names := range map[string]string{
			`{}`: "password", `{"password":null}`: "password", `{"password":["` + planted + `"]}`: "password", `{"password":"\ud800"}`: "password",
			`{"password":"` + planted + `","x":1}`: "field x", `{"password":"` + planted + `","password":"y"}`: "password",
		} {
			rows = append(rows, do(method, api+path, body, "invalid", names))
		}
		rows = append(rows, do(method, api+path, `{"password":"`+strings.Repeat("x", 7*poolkeeper.MaxPassword)+`"}`, "too-large", "bytes"))
	}
	rows = append(rows,
		do("PUT", api+"/password", `{"password":"short"}`, "invalid", "12"),
		do("PUT", api+"/password", `{"password":"            x            "}`, "invalid", "12"),
		do("PUT", api+"/password", `{"password":"`+strings.Repeat("x", poolkeeper.MaxPassword+1)+`"}`, "too-large", "password"),
		do("PUT", api+"/password", `{"password":"123456789012","client":"x"}`, "invalid", "field client"),
		do("POST", api+"/password/verify", `{"password":"x","client":1}`, "invalid", "field client"),
		do("POST", api+"/password/verify", `{"password":"x","client":"`+strings.Repeat("c", 257)+`"}`, "invalid", "field client"),
	)
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		body := ""
		if method == "PUT" {
			body = `{"user":"` + planted + `"}`
		}
		bearers := []string{"", "%", "%zz"}
		if method == "PUT" {
			bearers = append(bearers, "%ff", strings.Repeat("x", 1025))
		}
		for _, bearer := range bearers {
			rows = append(rows, do(method, api+"/sessions", body, "invalid", "").headed("Session-Bearer", bearer))
		}
		rows = append(rows, do(method, api+"/sessions?bearer="+planted, body, "invalid", "parameter").headed("Session-Bearer", planted))
	}
	for _, end := range []string{"", "tomorrow", "1780128000123", "1969-01-01T00:00:00Z", "2020-01-01T00:00:00Z", "2096-01-01"} {
		rows = append(rows, do("PUT", api+"/sessions", `{}`, "invalid", "").headed("Session-Bearer", planted, "Session-Expires", end))
	}
	for _, body := range []string{`[]`, `null`, `{"a":`, `"` + planted + `"`} {
		rows = append(rows, do("PUT", api+"/sessions", body, "invalid", "JSON").headed("Session-Bearer", planted))
	}
	rows = append(rows, do("GET", api+"/sessions", "", "not-found", "").headed("Session-Bearer", planted))
	// Fewer than what the limit allows.
	for _, body := range []string{`{"code":"` + planted + `"}`, `{"code":""}`, `{}`, ``} {
		r := do("POST", api+"/login", body, "unauthorized", "login code")
		r.key = "none"
		rows = append(rows, r)
	}
	wrong := do("POST", api+"/login", "", "unauthorized", "API key")
	wrong.key = "Bearer " + planted
	out := do("POST", api+"/logout", "", "unauthorized", "API key")
	out.key = "none"
	return append(rows, wrong, out,
		do("POST", api+"/login", `{"code":1}`, "invalid", "field code"),
		do("POST", api+"/login", `{"key":"`+planted+`"}`, "invalid", "field key"),
		do("POST", api+"/login", `{"code":"`+strings.Repeat("x", 5000)+`"}`, "too-large", "bytes"),
		do("POST", api+"/login", "", "forbidden", "origin").headed("Origin", "http://evil.example"),
		do("GET", api+"/login", "", "invalid", "GET").at(405),
		do("GET", api+"/logout", "", "invalid", "GET").at(405),
	)
}

// docsRows: what is open is so for reading alone.
func docsRows() []refusal {
	var rows []refusal
	for _, path := range []string{"/docs", "/openapi.json", "/healthz", "/readyz"} {
		for _, method := range []string{"PUT", "PATCH", "DELETE", "OPTIONS"} {
			rows = append(rows, do(method, path, "", "invalid", method).at(405))
		}
		rows = append(rows,
			do("GET", path+"?key="+planted, "", "invalid", "parameter"),
			do("GET", path+"/", "", "not-found", "path"),
			do("GET", path, "", "forbidden", "Host header").headed("Host", "evil.example"),
			do("GET", path, "", "forbidden", "origin").headed("Origin", "null"),
		)
	}
	beneath := do("GET", "/docs/"+planted, "", "unauthorized", "API key")
	beneath.key = "none"
	return append(rows, beneath)
}
