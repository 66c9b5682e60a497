package configdir

import (
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
	"github.com/poolkeeper/poolkeeper/internal/show"
)

// A shape is what the gateway expects of a document.
type shape struct {
	kind rawjson.Kind
	// member is one that must be an object, where the gateway needs it.
	member string
}

// documents are the files directly in the directory that are documents; they
// keep their file names as the names of documents.
var documents = map[string]shape{
	TokenStore:               {rawjson.KindObject, "tokens"},
	"plugins.json":           {rawjson.KindObject, ""},
	"usage-cache.json":       {rawjson.KindObject, ""},
	"custom_models.json":     {rawjson.KindArray, ""},
	"api-potluck-keys.json":  {rawjson.KindObject, ""},
	"api-potluck-data.json":  {rawjson.KindObject, ""},
	"model-usage-stats.json": {rawjson.KindObject, ""},
	"market.json":            {rawjson.KindArray, ""},
}

func isDocument(name string) bool {
	_, ok := documents[name]
	return ok
}

// checkDocument warns of a document that the gateway could not use. It is
// carried all the same.
func checkDocument(report *Report, file string, want shape, data []byte) {
	if _, had := rawjson.StripBOM(data); had {
		report.note(file, "", CodeBOM, "begins with a byte order mark, with which the gateway cannot read it; it is kept")
		return
	}
	if err := rawjson.Valid(data); err != nil {
		report.note(file, "", CodeDocument, "%v; it is kept", syntax(err, data))
		return
	}
	if !utf8.Valid(data) {
		report.note(file, "", CodeUTF8, "has bytes that are no UTF-8; they are kept")
	}
	checkTwice(report, file, data)
	if kind := rawjson.KindOf(data); kind != want.kind {
		report.note(file, "", CodeDocument, "is %s, where the gateway expects %s; it is kept", article(kind), article(want.kind))
		return
	}
	if want.member == "" {
		return
	}
	if v, _ := rawjson.Get(data, want.member); rawjson.KindOf(v) != rawjson.KindObject {
		report.note(file, pointer(want.member), CodeDocument, "is not an object, where the gateway expects one; it is kept")
	}
}

// checkTwice warns of a key that stands twice. In documents and tokens keys may
// be secrets, so it is not named.
func checkTwice(report *Report, file string, data []byte) {
	if at := rawjson.DuplicateKey(data); at >= 0 {
		report.note(file, "", CodeDuplicateKey, "at offset %d a key stands in its object for the second time; the last one counts", at)
	}
}

// config checks config.json, which must be an object whose pools are those of
// this directory.
func (r *reader) config(data []byte) error {
	bare, err := withoutBOM(data, configFile, r.report)
	if err == nil {
		err = syntax(rawjson.Object(bare, func(_, _ []byte) error { return nil }), bare)
	}
	if err != nil {
		return r.root.annotate(configFile, err)
	}
	if !utf8.Valid(bare) {
		r.report.note(configFile, "", CodeUTF8, "has bytes that are no UTF-8; they are kept")
	}
	credentials := map[string][]byte{}
	r.check.members(bare, func(name string) {
		r.report.note(configFile, "", CodeDuplicateKey, "the key %s stands twice; the last one counts", show.Clip(show.Name(name)))
	}, func(name, value []byte) {
		if rawjson.DuplicateKey(value) >= 0 {
			r.report.note(configFile, pointer(string(name)), CodeDuplicateKey, "a key stands twice in an object in it; the last one counts")
		}
		if poolkeeper.IsTokenPathField(string(name)) {
			credentials[string(name)] = value
		}
	})
	for _, field := range slices.Sorted(maps.Keys(credentials)) {
		if err := r.configToken(field, credentials[field]); err != nil {
			return err
		}
	}
	return r.poolsPath(bare)
}

// poolsPath refuses a configuration by which the gateway would read other
// pools than those of the directory.
func (r *reader) poolsPath(config []byte) error {
	const key = "PROVIDER_POOLS_FILE_PATH"
	lit, ok := rawjson.Get(config, key)
	if !ok || string(lit) == "null" {
		return nil
	}
	text, ok := rawjson.Unquote(lit)
	if !ok {
		r.report.note(configFile, pointer(key), CodeConfig, "is no path; %s is taken, and the gateway would find no providers", poolsFile)
		return nil
	}
	if text == "" {
		return nil
	}
	if p, ok := r.root.inside(text); ok {
		if p == poolsFile {
			return nil
		}
		if real, _, err := r.root.resolve(p); err == nil && r.files[poolsFile] != nil && real == r.files[poolsFile].real {
			return nil
		}
	}
	return r.root.refuse(configFile, poolkeeper.ErrInvalid, "%s is %s: the gateway reads its pools from there, not from %s", key, showPath(text), poolsFile).
		WithHint("move that file to %s and remove the setting", poolsFile)
}

// annotate names the file in an error about its content.
func (r *root) annotate(p string, err error) error {
	return poolkeeper.Annotate(err, "read", r.display(p))
}
