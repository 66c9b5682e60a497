package server

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
	"github.com/poolkeeper/poolkeeper/memstore"
)

func TestPools(t *testing.T) {
	s := start(t)
	equal(t, "no pools", s.want(200, "GET", "/pools", "").body, "{}")
	s.want(404, "GET", "/pools/b", "")
	s.want(200, "PUT", "/pools/b", `[ {"uuid":"2" , "x":1.0}, {"uuid":"1"} ]`)
	s.want(200, "PUT", "/pools/1", `[]`)
	s.want(200, "PUT", "/pools/~", `[{"uuid":"1"}]`)
	equal(t, "order", s.want(200, "GET", "/pools", "").body, `{"b":[{"uuid":"2" , "x":1.0},{"uuid":"1"}],"1":[],"":[{"uuid":"1"}]}`)

	s.want(200, "POST", "/pools/b/1/usage", `{"n":5}`)
	list := s.want(200, "GET", "/pools/b", "").body
	if !strings.Contains(list, `"usageCount":5`) {
		t.Errorf("the list has no runtime state: %s", list)
	}
	equal(t, "definitions", s.want(200, "GET", "/pools/b?definition=true", "").body, `[{"uuid":"2" , "x":1.0},{"uuid":"1"}]`)
	equal(t, "all definitions", s.want(200, "GET", "/pools?definition=true", "").body, `{"b":[{"uuid":"2" , "x":1.0},{"uuid":"1"}],"1":[],"":[{"uuid":"1"}]}`)

	s.want(200, "PUT", "/pools/b?order=true", `["1","2"]`)
	s.want(200, "PUT", "/pools?order=true", `["","1","b"]`)
	equal(t, "reordered", s.want(200, "GET", "/pools?definition=true", "").body, `{"":[{"uuid":"1"}],"1":[],"b":[{"uuid":"1"},{"uuid":"2" , "x":1.0}]}`)
	equal(t, "same order", s.want(200, "PUT", "/pools?order=true", `["","1","b"]`).field(t, "changed"), "false")

	s.want(200, "PUT", "/pools/b", `[{"uuid":"1","y":2}]`)
	equal(t, "state stays", s.want(200, "POST", "/pools/b/1/usage", "").field(t, "usageCount"), "6")
	s.want(404, "GET", "/pools/b/2", "")
	s.want(200, "DELETE", "/pools/b", "")
	s.want(404, "DELETE", "/pools/b", "")
}

func TestAdd(t *testing.T) {
	s := start(t)
	a := s.want(201, "POST", "/pools/t", `{ "name":"x" }`)
	id, ok := rawjson.Unquote([]byte(a.field(t, "id")))
	if !ok || len(id) != 36 {
		t.Fatalf("id: %s", a.body)
	}
	equal(t, "Location", a.header.Get("Location"), "/api/v1/pools/t/"+id)
	get := s.send("GET", a.header.Get("Location"), "")
	if !rawjson.EqualTokens([]byte(get.body), []byte(`{"name":"x","uuid":"`+id+`"}`)) {
		t.Errorf("definition: %s", get.body)
	}
	equal(t, "ETag", a.header.Get("Etag"), get.header.Get("Etag"))
	s.want(409, "POST", "/pools/t", `{"uuid":"`+id+`"}`)
}

// TestMarks: ids that are no uuids are carried, and a pool that is read and put
// back is the same pool.
func TestMarks(t *testing.T) {
	s := start(t)
	s.want(200, "PUT", "/pools/t", `[{"name":"a"},{"name":"a"},{"uuid":"u"},{"uuid":"u","b":1},{"_id":"mine","uuid":"v"}]`)
	list := s.want(200, "GET", "/pools/t", "").body
	if n := strings.Count(list, `"_id"`); n != 4 {
		t.Fatalf("%d marks: %s", n, list)
	}
	var ids []string
	for _, def := range elementsOf(t, list) {
		raw, ok := rawjson.Get(def, "_id")
		if !ok {
			continue
		}
		id, _ := rawjson.Unquote(raw)
		if id == "mine" {
			continue
		}
		ids = append(ids, id)
		one := "/pools/t/" + poolkeeper.EscapeSegment(id)
		equal(t, "single", s.want(200, "GET", one, "").body, string(def))
		s.want(200, "POST", one+"/usage", `{"n":3}`)
		// What is stored has no mark, and a put of what was read leaves none.
		bare := s.want(200, "GET", one+"?definition=true", "").body
		s.want(200, "PUT", one, string(def))
		equal(t, "stored", s.want(200, "GET", one+"?definition=true", "").body, bare)
	}
	if len(ids) != 3 {
		t.Fatalf("derived ids: %v", ids)
	}
	list = s.want(200, "GET", "/pools/t", "").body
	s.want(200, "PUT", "/pools/t", list)
	equal(t, "put back", s.want(200, "GET", "/pools/t", "").body, list)

	// A twin without a mark is a new provider.
	first := string(elementsOf(t, s.want(200, "GET", "/pools/t?definition=true", "").body)[0])
	s.want(200, "PUT", "/pools/t", strings.TrimSuffix(list, "]")+","+first+"]")
	if n := len(elementsOf(t, s.want(200, "GET", "/pools/t", "").body)); n != 6 {
		t.Errorf("%d providers", n)
	}
	s.want(400, "PUT", "/pools/t/"+poolkeeper.EscapeSegment(ids[0]), `{"_id":"`+ids[1]+`"}`)
	s.want(400, "PUT", "/pools/t", `[{"_id":"~x"},{"_id":"~x"}]`)
}

// TestEdgePools serves the pools of the nasty fixture as they are in its file.
func TestEdgePools(t *testing.T) {
	file, err := os.ReadFile(filepath.Join("..", "testdata", "fixtures", "edge", "configs", "provider_pools.json"))
	if err != nil {
		t.Fatal(err)
	}
	snap := poolkeeper.NewSnapshot()
	err = rawjson.Object(file, func(key, value []byte) error {
		typ, _ := rawjson.Unquote(key)
		pool := &poolkeeper.Pool{Type: typ}
		ids, _ := poolkeeper.AssignIDs(elementsOf(t, string(value)))
		for i, def := range elementsOf(t, string(value)) {
			pool.Providers = append(pool.Providers, poolkeeper.Provider{Ref: poolkeeper.Ref{Type: typ, ID: ids[i]}, Definition: def})
		}
		snap.AddPool(pool)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	st := poolkeeper.New(memstore.New(nil), nil)
	if err := st.Restore(context.Background(), snap); err != nil {
		t.Fatal(err)
	}
	s := startOver(t, st)
	got := s.want(200, "GET", "/pools?definition=true", "").body
	if !rawjson.EqualTokens(file, []byte(got)) {
		where, _ := rawjson.DiffTokens(file, []byte(got))
		t.Fatalf("differs from the file at %s", where)
	}
	shown := s.want(200, "GET", "/pools", "").body
	if n := strings.Count(shown, `"_id"`); n != 6 { // 5 without a usable uuid, 1 duplicate
		t.Errorf("%d marks, want 6", n)
	}
	for _, typ := range snap.Types {
		path := "/pools/" + poolkeeper.EscapeSegment(typ)
		before := s.want(200, "GET", path, "").body
		s.want(200, "PUT", path, before)
		equal(t, typ, s.want(200, "GET", path, "").body, before)
		for _, p := range snap.Pools[typ].Providers {
			one := path + "/" + poolkeeper.EscapeSegment(p.ID)
			s.want(200, "GET", one, "")
			s.want(200, "POST", one+"/usage", "")
		}
	}
	if !strings.Contains(s.want(200, "GET", "/pools", "").body, "9007199254740994") {
		t.Error("a counter beyond 2^53 was not counted exactly")
	}
}

func elementsOf(t *testing.T, array string) (out [][]byte) {
	t.Helper()
	err := rawjson.Array([]byte(array), func(_ int, v []byte) error {
		out = append(out, v)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
