package main

import (
	"strings"

	"github.com/poolkeeper/poolkeeper"
)

// fieldRows: fields that do not exist, or have values that they cannot have.
func fieldRows() []refusal {
	var rows []refusal
	for action, bodies := range map[string]map[string]string{
		"usage": {
			`{"n":0}`: "n ", `{"n":-1}`: "n ", `{"n":1.5}`: "n ", `{"n":1.0}`: "n ", `{"n":"1"}`: "n ", `{"n":null}`: "n ", `{"n":true}`: "n ",
			`{"n":1000000000001}`: "n ", `{"n":99999999999999999999}`: "n ", `{"n":1,"n":2}`: "n ", `{"m":1}`: "m ",
		},
		"error": {
			`{"message":5}`: "message ", `{"message":"\ud800"}`: "message ", `{"markUnhealthy":"yes"}`: "markUnhealthy ", `{"recoverAt":"tomorrow"}`: "recoverAt ",
			`{"recoverAt":1780128000123}`: "recoverAt ", `{"recoverAt":"1969-01-01T00:00:00Z"}`: "recoverAt ", `{"n":1}`: "n ",
		},
		"success":       {`{"n":-1}`: "n ", `{"model":1}`: "model ", `{"healthy":true}`: "healthy "},
		"health":        {`{}`: "healthy ", `{"healthy":1}`: "healthy ", `{"healthy":null}`: "healthy ", `{"healthy":true,"x":1}`: "x "},
		"refresh-state": {`{}`: "phase ", `{"phase":"later"}`: "phase ", `{"phase":1}`: "phase ", `{"phase":"done","x":1}`: "x "},
		"reset":         {`{"usage":1}`: "usage ", `{"all":true}`: "all "},
		"rename":        {`{}`: "id ", `{"id":1}`: "id ", `{"id":"x","y":1}`: "y "},
	} {
		for body, field := range bodies {
			rows = append(rows, do("POST", kiroPath+"/"+action, body, "invalid", "field "+field[:len(field)-1]))
		}
	}
	for _, f := range poolkeeper.Fields() {
		rows = append(rows, do("PATCH", kiroPath, `{"`+f.String()+`":77}`, "invalid", f.String()))
	}
	patch := do("PATCH", kiroPath, `[{"op":"replace","path":"/usageCount","value":0}]`, "invalid", "usageCount")
	nowhere := do("PATCH", api+"/config", `[{"op":"remove","path":"/no/such"}]`, "invalid", "patch")
	untrue := do("PATCH", plugins, `[{"op":"test","path":"","value":"`+planted+`"}]`, "invalid", "patch")
	unknown := do("PATCH", kiroTok, `[{"op":"frobnicate","path":"/a"}]`, "invalid", "patch")
	for _, r := range []*refusal{&patch, &nowhere, &untrue, &unknown} {
		r.header["Content-Type"] = "application/json-patch+json"
		rows = append(rows, *r)
	}
	return append(rows,
		do("PATCH", kiroPath, `{"uuid":"another"}`, "invalid", "uuid"),
		do("PATCH", kiroPath, `{"uuid":null}`, "invalid", "uuid"),
		do("PUT", kiroPath, `{"uuid":"another"}`, "invalid", "uuid"),
		do("PUT", kiroPath, `{"customName":"without"}`, "invalid", "uuid"),
		do("POST", kiroPath+"/rename", `{"id":"`+otherID+`"}`, "exists", otherID),
		do("POST", kiroPath+"/rename", `{"id":"`+kiroID+`"}`, "invalid", "new id"),
		do("POST", kiroPath+"/rename", `{"id":""}`, "invalid", "new id"),
		do("POST", kiroPath+"/rename", `{"id":"~derived"}`, "invalid", "new id"),
		do("POST", kiroPool, `{"uuid":"`+kiroID+`"}`, "exists", kiroID),
		do("POST", kiroPool, `{"uuid":"~derived"}`, "invalid", "uuid"),
		do("POST", kiroPool, `{"uuid":17}`, "invalid", "uuid"),
		do("PUT", kiroPool, `[{"uuid":"a"},5]`, "invalid", "element 1"),
		do("PUT", kiroPool+"?order=true", `["`+kiroID+`"]`, "invalid", "order"),
		do("PUT", kiroPool+"?order=true", `["`+kiroID+`","`+kiroID+`"]`, "invalid", "twice"),
		do("PUT", kiroPool+"?order=true", `[5]`, "invalid", "field 0"),
		do("PUT", api+"/pools?order=true", `["`+kiro+`"]`, "invalid", "order"),
		do("PUT", api+"/pools", `[]`, "invalid", "order=true"),
		do("GET", api+"/pools?definition=1", "", "invalid", "definition"),
		do("GET", kiroPath+"?definition=true&definition=true", "", "invalid", "definition"),
		do("GET", kiroPath+"?%zz", "", "invalid", "query"),
	)
}

// nameRows: names that nothing can have.
func nameRows() []refusal {
	long := strings.Repeat("x", 513)
	return []refusal{
		do("PUT", api+"/documents/config", `{}`, "invalid", "reserved"),
		do("PUT", api+"/documents/pwd", `{}`, "invalid", "reserved"),
		do("GET", api+"/documents/pwd", "", "invalid", "reserved"),
		do("PUT", api+"/documents/~", `{}`, "invalid", "name"),
		do("PUT", api+"/documents/a%0Ab", `{}`, "invalid", "control"),
		do("PUT", api+"/documents/"+long, `{}`, "invalid", "name"),
		do("PUT", api+"/documents/%FF", `{}`, "invalid", "UTF-8"),
		do("PUT", api+"/documents/../config", `{}`, "not-found", "segment"),
		do("GET", api+"/documents/..", "", "not-found", "segment"),
		do("GET", api+"/pools/x/../"+kiro, "", "not-found", "segment"),
		do("GET", api+"/pools/~x", "", "invalid", "~"),
		do("GET", kiroPool+"/~x", "", "invalid", "~"),
		do("GET", kiroPool+"/~", "", "invalid", "id is empty"),
		do("GET", kiroPool+"/%FF", "", "invalid", "UTF-8"),
		do("GET", kiroPool+"/a%00b", "", "invalid", "NUL"),
		do("GET", api+"/pools/%FF", "", "invalid", "UTF-8"),
		do("GET", kiroPool+"/"+long, "", "too-large", "513"),
		do("GET", api+"/pools/"+long, "", "too-large", "513"),
		do("POST", api+"/pools/"+long, `{}`, "too-large", "513"),
		do("GET", api+"/tokens/"+long+"/x", "", "too-large", "513"),
		do("POST", kiroPath+"/rename", `{"id":"`+long+`"}`, "too-large", "513"),
	}
}

// sizeRows: what is larger than its limit.
func sizeRows() []refusal {
	object := func(size int) string { return `{"x":"` + strings.Repeat("x", size) + `"}` }
	message := `{"message":"` + strings.Repeat("m", poolkeeper.MaxMessage+1) + `"}`
	return []refusal{
		do("PUT", kiroPath, object(poolkeeper.MaxDefinition), "too-large", "bytes"),
		do("PATCH", kiroPath, object(poolkeeper.MaxDefinition), "too-large", "bytes"),
		do("POST", kiroPool, object(poolkeeper.MaxDefinition), "too-large", "bytes"),
		do("PUT", kiroPool, "["+object(poolkeeper.MaxDefinition)+"]", "too-large", "element 0"),
		do("PUT", plugins, object(poolkeeper.MaxDocument), "too-large", "bytes"),
		do("PUT", kiroTok, object(poolkeeper.MaxDocument), "too-large", "bytes"),
		do("POST", kiroPath+"/usage", object(4096), "too-large", "bytes"),
		do("POST", kiroPath+"/error", message, "too-large", "65537"),
		do("POST", kiroPath+"/health", `{"healthy":false,`+message[1:], "too-large", "65537"),
		do("POST", kiroPath+"/success", strings.Replace(message, "message", "model", 1), "too-large", "65537"),
	}
}
