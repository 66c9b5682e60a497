package main

import (
	"strings"

	"github.com/poolkeeper/poolkeeper/internal/rawjson"
	"github.com/poolkeeper/poolkeeper/internal/settings"
)

// masked is the literal in the place of a secret.
const masked = `"` + settings.Redacted + `"`

// A masker decides what of a JSON document is shown.
type masker struct {
	// all masks every string and number but those of open names.
	all bool
}

// mask returns a valid JSON document with its secrets masked; every other byte
// stays. Members are secret by their names: every value below one is, and the
// names of its own members, as there are documents with keys for names.
func mask(doc []byte) []byte { return masker{}.value(nil, doc, "", false) }

// maskToken masks a token document: all of it but times of expiry.
func maskToken(doc []byte) []byte { return masker{all: true}.value(nil, doc, "", false) }

func (m masker) value(dst, v []byte, name string, secret bool) []byte {
	switch rawjson.KindOf(v) {
	case rawjson.KindObject:
		return m.object(dst, v, name, secret)
	case rawjson.KindArray:
		return m.array(dst, v, name, secret)
	case rawjson.KindString:
		text, ok := rawjson.Unquote(v)
		switch {
		case ok && text == "" || m.all && isExpiry(name) || !secret && !m.all && name == "uuid":
		case secret || m.all || looksSecret(text):
			return append(dst, masked...)
		case ok:
			if redacted := redactText(text); redacted != text {
				return rawjson.AppendQuote(dst, redacted)
			}
		}
	case rawjson.KindNumber:
		if (secret || m.all) && !(m.all && isExpiry(name)) && !isCount(name) {
			return append(dst, masked...)
		}
	}
	return append(dst, v...)
}

func (m masker) object(dst, v []byte, of string, secret bool) []byte {
	hideNames := secret && isSecretName(of)
	pos := 0
	// Valid documents only come here; the walk cannot fail.
	_ = rawjson.Object(v, func(key, value []byte) error {
		name, ok := rawjson.Unquote(key)
		pos = copyGap(&dst, v, pos)
		if hideNames || !ok || redactText(name) != name {
			dst = append(dst, masked...)
		} else {
			dst = append(dst, key...)
		}
		pos = copyGap(&dst, v, pos+len(key))
		dst = m.value(dst, value, name, secret || !ok || isSecret(name, value))
		pos += len(value)
		return nil
	})
	return append(dst, v[pos:]...)
}

func (m masker) array(dst, v []byte, name string, secret bool) []byte {
	pos := 0
	_ = rawjson.Array(v, func(_ int, value []byte) error {
		pos = copyGap(&dst, v, pos)
		dst = m.value(dst, value, name, secret)
		pos += len(value)
		return nil
	})
	return append(dst, v[pos:]...)
}

// copyGap copies what stands between two items of a container: white space,
// commas, colons, and the opening bracket where nothing was copied yet.
func copyGap(dst *[]byte, v []byte, from int) int {
	pos := from
	opened := from > 0
	for pos < len(v) {
		c := v[pos]
		if !opened && (c == '{' || c == '[') {
			opened = true
		} else if strings.IndexByte(" \t\r\n,:", c) < 0 {
			break
		}
		pos++
	}
	*dst = append(*dst, v[from:pos]...)
	return pos
}

// isExpiry reports whether a member of a token says when it ends.
func isExpiry(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "expir") && !strings.Contains(name, "token")
}

// isCount reports whether a number of that name counts tokens of a model.
func isCount(name string) bool { return strings.HasSuffix(strings.ToLower(name), "tokens") }
