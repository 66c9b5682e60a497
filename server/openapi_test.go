package server

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// TestOpenAPI walks the document: each operation but the open ones refuses
// whoever has no key, each route is in it, and nothing else is.
func TestOpenAPI(t *testing.T) {
	s := start(t)
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Security    *[]any
			Parameters  []struct{ Name, In string }
			Responses   map[string]any
			RequestBody *struct{ Content map[string]any }
		}
		Components struct {
			Schemas map[string]any
		}
	}
	body := s.send("GET", pathOpenAPI, "", "Authorization", "").body
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1.") {
		t.Errorf("version %q", doc.OpenAPI)
	}
	// Every reference leads somewhere.
	for _, part := range strings.Split(body, `"#/components/schemas/`)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		if doc.Components.Schemas[name] == nil {
			t.Errorf("there is no schema %s", name)
		}
	}
	var described, open []string
	fill := strings.NewReplacer("{type}", "t", "{id}", "a", "{name}", "n")
	for path, methods := range doc.Paths {
		for method, op := range methods {
			method = strings.ToUpper(method)
			described = append(described, method+" "+path)
			want := 401
			if op.Security != nil && len(*op.Security) == 0 {
				want = 200
				open = append(open, path)
			}
			if a := s.send(method, fill.Replace(path), "", "Authorization", ""); a.status != want {
				t.Errorf("%s %s without a key: %d, want %d", method, path, a.status, want)
			}
			if a := s.send(method, fill.Replace(path), "", "Authorization", "Bearer wrong-key-0123456789"); a.status != want {
				t.Errorf("%s %s with a wrong key: %d, want %d", method, path, a.status, want)
			}
			if path == base+"/events" {
				method = "HEAD" // the answer to GET has no end
			}
			if a := s.send(method, fill.Replace(path), ""); a.status == 401 || a.status == 405 {
				t.Errorf("%s %s with the key: %d", method, path, a.status)
			}
			if op.OperationID == "" || op.Responses["400"] == nil || op.Responses["403"] == nil || (want == 401) != (op.Responses["401"] != nil) {
				t.Errorf("%s %s is not fully described", method, path)
			}
			for _, name := range []string{"type", "id", "name"} {
				has := slices.ContainsFunc(op.Parameters, func(p struct{ Name, In string }) bool { return p.In == "path" && p.Name == name })
				if has != strings.Contains(path, "{"+name+"}") {
					t.Errorf("%s %s: parameter %s", method, path, name)
				}
			}
		}
	}
	slices.Sort(open)
	if !slices.Equal(open, []string{pathDocs, pathHealthz, pathOpenAPI, pathReadyz}) {
		t.Errorf("open: %v", open)
	}
	var served []string
	for _, rt := range New(poolkeeper.New(memstore.New(nil), nil), nil).routes {
		served = append(served, rt.method+" "+rt.path)
	}
	slices.Sort(served)
	slices.Sort(described)
	if !slices.Equal(served, described) {
		t.Errorf("served:\n%s\ndescribed:\n%s", strings.Join(served, "\n"), strings.Join(described, "\n"))
	}
}

// TestPathsOfGuide: the table of paths in docs/api.md is that of the routes.
func TestPathsOfGuide(t *testing.T) {
	page, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n| path | methods |\n|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var told, served []string
	for row := range strings.SplitSeq(table, "\n") {
		cells := strings.Split(row, "|")
		paths, _, outside := strings.Cut(cells[1], ", outside of ")
		for i, path := range strings.Split(paths, "`") {
			if i%2 == 0 {
				continue // what stands between two paths
			}
			if strings.Contains(paths, "/pools/{type}/{id}/usage") && !strings.HasPrefix(path, "/pools") {
				path = "/pools/{type}/{id}" + path
			}
			if !outside {
				path = base + path
			}
			for _, method := range []string{"GET", "PUT", "POST", "PATCH", "DELETE"} {
				if strings.Contains(cells[2], method) {
					told = append(told, method+" "+path)
				}
			}
		}
	}
	for _, rt := range New(poolkeeper.New(memstore.New(nil), nil), &Options{Telemetry: silent{}}).routes {
		served = append(served, rt.method+" "+rt.path)
	}
	slices.Sort(told)
	slices.Sort(served)
	if !slices.Equal(told, served) {
		t.Errorf("told:\n%s\nserved:\n%s", strings.Join(told, "\n"), strings.Join(served, "\n"))
	}
}

// TestCommandsAreDescribed: the fields that a body takes are those that the
// document names.
func TestCommandsAreDescribed(t *testing.T) {
	srv := New(poolkeeper.New(memstore.New(nil), nil), nil)
	n := 0
	for _, rt := range srv.routes {
		if rt.body == nil || rt.body.kind != smallBody {
			continue
		}
		n++
		schema := srv.api.Components.Schemas.Schema(reflect.TypeOf(rt.body.schema), false, "")
		for name := range schema.Properties {
			c := reflect.New(reflect.TypeOf(rt.body.schema)).Interface().(command)
			if err := c.set(name, []byte(`[]`)); err == nil || err == errUnknownField {
				t.Errorf("%s does not take the field %s: %v", rt.path, name, err)
			}
		}
		c := reflect.New(reflect.TypeOf(rt.body.schema)).Interface().(command)
		if err := c.set("nothing", []byte(`1`)); err != errUnknownField {
			t.Errorf("%s takes a field that is not described: %v", rt.path, err)
		}
		if rt.body.optional != (len(schema.Required) == 0 && len(schema.OneOf) == 0) {
			t.Errorf("%s: optional is %v, required are %v", rt.path, rt.body.optional, schema.Required)
		}
	}
	if n != 14 {
		t.Errorf("%d commands", n)
	}
}

// TestWrittenIsDescribed: the answer that is written by hand is the one of the
// document.
func TestWrittenIsDescribed(t *testing.T) {
	s := start(t)
	s.want(201, "POST", "/pools/t", `{"uuid":"a"}`)
	for _, a := range []answer{
		s.want(200, "POST", "/pools/t/a/usage", ""),
		s.want(200, "POST", "/pools/t/a/error", ""),
		s.want(200, "POST", "/pools/t/a/refresh-state", `{"phase":"started"}`),
		s.want(200, "POST", "/pools/t/a/rename", `{"id":"b"}`),
		s.want(200, "DELETE", "/pools/t", ""),
	} {
		var w written
		dec := json.NewDecoder(strings.NewReader(a.body))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&w); err != nil || w.Status != poolkeeper.Applied || w.Revision == "" {
			t.Errorf("%v: %s", err, a.body)
		}
	}
}
