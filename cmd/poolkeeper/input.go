package main

import (
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// read returns the JSON that a file holds, or stdin where it is "-".
func (a *app) read(path string, limit int64) ([]byte, error) {
	r, name := a.in, "standard input"
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, poolkeeper.Errorf(poolkeeper.ErrInvalid, "%v", err)
		}
		defer f.Close()
		r, name = f, path
	}
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return nil, poolkeeper.Errorf(poolkeeper.ErrInvalid, "%s cannot be read: %v", name, err)
	case int64(len(data)) > limit:
		return nil, poolkeeper.Errorf(poolkeeper.ErrTooLarge, "%s has more than %d bytes", name, limit)
	}
	if err := rawjson.ValidUTF8(data); err != nil {
		return nil, poolkeeper.Errorf(poolkeeper.ErrInvalid, "%s: %v", name, err).WithHint("write it as UTF-8")
	}
	return data, nil
}

// A patch is an edit as the command line gives it.
type patch struct {
	kind poolkeeper.PatchKind
	data []byte
}

const assignHelp = `FIELD=VALUE sets one field of the document; FIELD is its name, exactly. VALUE is
JSON: 5, true, null, [], {"a":1} or "text". A word that is not JSON is taken as
a string, so customName=Blue and customName='"Blue"' are the same, and
version='"5"' is a string where version=5 is a number. What begins with { [ or "
must be valid JSON. Arguments are visible to other users of the machine: give
secrets by --merge FILE or --json-patch FILE, where - is standard input. Only a
merge patch or JSON Patch can remove a field.`

// assignments makes a patch of FIELD=VALUE arguments: a JSON Patch, as a merge
// patch cannot set null.
func assignments(args []string) (patch, error) {
	doc := []byte("[")
	for i, arg := range args {
		field, value, ok := strings.Cut(arg, "=")
		if !ok || field == "" {
			// Not repeated: it may be the value of a secret.
			return patch{}, poolkeeper.Errorf(poolkeeper.ErrInvalid, "argument %d is not FIELD=VALUE", i+1)
		}
		if !utf8.ValidString(arg) {
			return patch{}, poolkeeper.Errorf(poolkeeper.ErrInvalid, "argument %d is not valid UTF-8", i+1).WithHint("write it as UTF-8")
		}
		literal := []byte(value)
		if err := rawjson.Valid(literal); err != nil {
			if trimmed := strings.TrimLeft(value, " \t\r\n"); trimmed != "" && strings.ContainsRune(`{["`, rune(trimmed[0])) {
				return patch{}, poolkeeper.Errorf(poolkeeper.ErrInvalid, "the value of %s is not valid JSON: %v", field, err)
			}
			literal = rawjson.Quote(value)
		}
		if i > 0 {
			doc = append(doc, ',')
		}
		doc = append(doc, `{"op":"add","path":`...)
		doc = rawjson.AppendQuote(doc, "/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(field))
		doc = append(append(append(doc, `,"value":`...), literal...), '}')
	}
	return patch{poolkeeper.JSONPatch, append(doc, ']')}, nil
}

// edit finds out which of the ways to give a patch was used.
func (a *app) edit(args []string, merge, jsonPatch string) (patch, error) {
	given := 0
	for _, is := range []bool{len(args) > 0, merge != "", jsonPatch != ""} {
		if is {
			given++
		}
	}
	if given != 1 {
		return patch{}, badArgs(a.cmd, "give FIELD=VALUE, or --merge, or --json-patch, and only one of them")
	}
	if len(args) > 0 {
		return assignments(args)
	}
	p := patch{kind: poolkeeper.MergePatch}
	path := merge
	if jsonPatch != "" {
		p.kind, path = poolkeeper.JSONPatch, jsonPatch
	}
	data, err := a.read(path, poolkeeper.MaxDocument)
	p.data = data
	return p, err
}
