package configdir

import (
	"bytes"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// DiffDefinitions compares two definitions without their runtime fields and
// white space. Where they differ it says where, by a JSON Pointer for people.
func DiffDefinitions(a, b []byte) (where string, differ bool) {
	if bytes.Equal(a, b) {
		return "", false
	}
	a, b = withoutRuntime(a), withoutRuntime(b)
	where, offset := rawjson.DiffTokens(a, b)
	return clipPointer(where), offset >= 0
}

var runtimeDeletes = func() []rawjson.Edit {
	edits := make([]rawjson.Edit, poolkeeper.NumFields)
	for _, f := range poolkeeper.Fields() {
		edits[f].Key = f.String()
	}
	return edits
}()

func withoutRuntime(def []byte) []byte {
	bare, err := rawjson.SetMany(def, runtimeDeletes)
	if err != nil { // a damaged one is compared as it is
		return def
	}
	return bare
}

// DiffRuntime returns the runtime fields whose effective literals differ.
func DiffRuntime(a, b *poolkeeper.Provider) []poolkeeper.Field {
	if bytes.Equal(a.Definition, b.Definition) && a.State.IsZero() && b.State.IsZero() {
		return nil
	}
	defA, defB := poolkeeper.LiteralsOf(a.Definition), poolkeeper.LiteralsOf(b.Definition)
	litA, litB := a.State.EffectiveAll(&defA), b.State.EffectiveAll(&defB)
	var differ []poolkeeper.Field
	for _, f := range poolkeeper.Fields() {
		if litA[f] != litB[f] && !rawjson.EqualTokens([]byte(litA[f]), []byte(litB[f])) {
			differ = append(differ, f)
		}
	}
	return differ
}
