package transfer

import (
	"bytes"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// definitionDiff compares two definitions without their runtime fields and
// white space.
func definitionDiff(a, b []byte) (where string, differ bool) {
	if bytes.Equal(a, b) {
		return "", false
	}
	a, b = withoutRuntime(a), withoutRuntime(b)
	where, offset := rawjson.DiffTokens(a, b)
	return where, offset >= 0
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

// runtimeDiff returns the runtime fields whose effective literals differ.
func runtimeDiff(a, b *poolkeeper.Provider) []poolkeeper.Field {
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
