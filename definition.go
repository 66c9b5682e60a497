package poolkeeper

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"strconv"
	"strings"

	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// ETag identifies the content of a definition or document: the first half of
// the SHA-256 of its bytes, in hex. Runtime state is no part of it.
func ETag(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}

// ValidateDefinition checks that the bytes are one JSON object of at most
// [MaxDefinition] bytes. The error names the place, never the content.
func ValidateDefinition(definition []byte) error {
	if len(definition) > MaxDefinition {
		return Errorf(ErrTooLarge, "definition of %d bytes; the limit is %d", len(definition), MaxDefinition)
	}
	return validateObject(definition, "definition")
}

// ValidateObject checks that the bytes are one JSON object of at most
// [MaxDocument] bytes.
func ValidateObject(data []byte, what string) error {
	if len(data) > MaxDocument {
		return Errorf(ErrTooLarge, "%s of %d bytes; the limit is %d", what, len(data), MaxDocument)
	}
	return validateObject(data, what)
}

func validateObject(data []byte, what string) error {
	if err := rawjson.Valid(data); err != nil {
		return Errorf(ErrInvalid, "%s is not valid JSON: %v", what, err)
	}
	if rawjson.KindOf(data) != rawjson.KindObject {
		return Errorf(ErrInvalid, "%s is not a JSON object", what)
	}
	return nil
}

// UsableUUID returns the uuid of a definition where it can serve as an id: a
// string of 1 to [MaxID] bytes that does not begin with "~", the mark of
// derived ids.
func UsableUUID(definition []byte) (string, bool) {
	raw, ok := rawjson.Get(definition, "uuid")
	if !ok {
		return "", false
	}
	id, ok := rawjson.Unquote(raw)
	if !ok || strings.HasPrefix(id, "~") || ValidateID(id) != nil {
		return "", false
	}
	return id, true
}

// DerivedID is the id of a definition without a usable uuid of its own: "~"
// and a hash of it without its runtime fields and white space. Equal ones are
// told apart by an ordinal: the second has ".2" after it, and so on.
func DerivedID(definition []byte, ordinal int) string {
	edits := make([]rawjson.Edit, NumFields)
	for f := range edits {
		edits[f].Key = fieldNames[f]
	}
	bare, err := rawjson.SetMany(definition, edits)
	if err != nil {
		bare = definition
	}
	sum := sha256.Sum256(rawjson.Compact(nil, bare))
	return withOrdinal("~"+hex.EncodeToString(sum[:8]), ordinal)
}

func withOrdinal(id string, ordinal int) string {
	if ordinal > 1 {
		id += "." + strconv.Itoa(ordinal)
	}
	return id
}

// AssignIDs gives each definition of a pool, in order, its id: its uuid where
// that is usable and the first of its kind, else a derived one. derived says
// which are derived.
func AssignIDs(definitions [][]byte) (ids []string, derived []bool) {
	ids = make([]string, len(definitions))
	derived = make([]bool, len(definitions))
	taken := make(map[string]bool, len(definitions))
	for i, def := range definitions {
		if id, ok := UsableUUID(def); ok && !taken[id] {
			ids[i], taken[id] = id, true
		}
	}
	ordinals := map[string]int{} // the last one given out, by the id without
	for i, def := range definitions {
		if ids[i] == "" {
			first := DerivedID(def, 1)
			ordinals[first]++
			ids[i], derived[i] = withOrdinal(first, ordinals[first]), true
		}
	}
	return ids, derived
}

// A TokenPath is a field of a definition that names a token file.
type TokenPath struct {
	Field string // the name of the field
	Raw   string // the path as written
	// Path is the path normalised: relative to the parent of configs/ and
	// clean. It is the text alone that is normalised; no file is looked at.
	Path string
	// Outside says that the path is absolute or leaves the parent of configs/.
	Outside bool
}

// IsTokenPathField reports whether a field of that name holds the path of a
// token file, by the gateway's own rule.
func IsTokenPathField(name string) bool {
	return strings.HasSuffix(name, "_CREDS_FILE_PATH") || strings.HasSuffix(name, "_TOKEN_FILE_PATH")
}

// TokenPaths returns the token paths of a definition. The first is the one
// that the gateway reads; a second one occurs where an operator used the
// field of the form beside that of the core. Empty paths and values that are
// no strings are left out.
func TokenPaths(definition []byte) []TokenPath {
	var paths []TokenPath
	// The definition was validated when it was taken; a damaged one has no paths.
	_ = rawjson.Object(definition, func(key, value []byte) error {
		name, ok := rawjson.Unquote(key)
		if !ok || !IsTokenPathField(name) {
			return nil
		}
		raw, ok := rawjson.Unquote(value)
		if !ok || raw == "" {
			return nil
		}
		for i := range paths { // a duplicate key: the last one counts
			if paths[i].Field == name {
				paths = append(paths[:i], paths[i+1:]...)
				break
			}
		}
		p := TokenPath{Field: name, Raw: raw}
		p.Path, p.Outside = NormalizeTokenPath(raw)
		if name == "IFLOW_TOKEN_FILE_PATH" { // the core of the gateway reads this one
			paths = append([]TokenPath{p}, paths...)
		} else {
			paths = append(paths, p)
		}
		return nil
	})
	return paths
}

// NormalizeTokenPath cleans the path of a token file as the gateway resolves
// it: relative to the parent of configs/, "~" not expanded, a backslash an
// ordinary character. outside says that it is absolute or leaves that parent.
func NormalizeTokenPath(raw string) (clean string, outside bool) {
	clean = path.Clean(raw)
	return clean, path.IsAbs(clean) || clean == ".." || strings.HasPrefix(clean, "../")
}
