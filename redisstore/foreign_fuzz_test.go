package redisstore

import (
	"bytes"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// What was put right is put right for good, so that a conversion that was cut
// off reads what it has made as it read what was there; and nothing else of a
// definition changes.
func FuzzForeignDefinition(f *testing.F) {
	f.Add("a", []byte(`{"uuid":"a","notSupportedModels":{},"n":1.2345678901234e+14}`))
	f.Add("", []byte(`{"supportedModels": { } , "x":[1e+15,{"y":-1.0e+20}]}`))
	f.Add("~1", []byte(`{"uuid":null,"uuid":{},"notSupportedModels":{"a":{}}}`))
	f.Add("\xff", []byte("{\"k\":\"\xff\",\"supportedModels\":{},\"supportedModels\":[]}"))
	f.Fuzz(func(t *testing.T, name string, def []byte) {
		if poolkeeper.ValidateDefinition(def) != nil {
			return
		}
		var once, twice foreignPool
		repaired := once.repair(foreignField{name, bytes.Clone(def)})
		if err := poolkeeper.ValidateDefinition(repaired); err != nil {
			t.Fatalf("%s became %s: %v", def, repaired, err)
		}
		if again := twice.repair(foreignField{name, repaired}); !bytes.Equal(again, repaired) {
			t.Fatalf("%s became %s, and then %s", def, repaired, again)
		}
		edits := make([]rawjson.Edit, 0, 3)
		for _, key := range append([]string{"uuid"}, foreignLists...) {
			edits = append(edits, rawjson.Edit{Key: key})
		}
		before, err := rawjson.SetMany(def, edits)
		if err != nil {
			t.Fatal(err)
		}
		after, err := rawjson.SetMany(repaired, edits)
		if err != nil {
			t.Fatal(err)
		}
		if !rawjson.EqualTokens(before, after) {
			t.Fatalf("%s became %s", def, repaired)
		}
	})
}

// A name of the layout is one kind of thing, and never what Poolkeeper alone
// writes.
func FuzzForeignName(f *testing.F) {
	for _, n := range []string{"pools:a:b", "tokens:a%3Ab:c", "tokens::", "sessions:", "counters:a:b:usageCount", "state:{p:pools:a}", "doc:x", "", ":"} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		k := keyspace{"p:"}
		reader := &foreignReader{Store: &Store{keyspace: k}, types: []string{"a:b", "a"}, pools: map[string]*foreignPool{"a:b": {}, "a": {}}}
		kind, arg := k.kindOf(rest)
		if k.isOwn("p:"+rest, rest) && kind != kindUnknown {
			t.Fatalf("%q is both", rest)
		}
		title := reader.title(kind, &foreignKey{rest: rest})
		if kind == kindSession && title != nameSessions+"…" {
			t.Fatalf("a session is called %q", title)
		}
		if kind == kindToken {
			if ref, ok := reader.tokenRef("p:"+rest, arg); ok && ref.Validate() != nil {
				t.Fatalf("%q is of %v", rest, ref)
			}
		}
	})
}
