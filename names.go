package poolkeeper

import (
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// gatewayDocuments are the documents of a gateway, by the names of their files
// without ".json".
var gatewayDocuments = map[string]bool{
	"token-store": true, "plugins": true, "usage-cache": true, "custom_models": true, "api-potluck-keys": true,
	"api-potluck-data": true, "model-usage-stats": true, "market": true,
}

// ValidateDocumentName checks the name of a document, which is that of its file
// in an export: 1 to [MaxName] bytes of UTF-8 without "/" and control
// characters. What is kept under keys of its own is reserved, and so is the name
// of a gateway's document without its ".json": one document has one name.
func ValidateDocumentName(name string) error {
	switch {
	case name == "" || len(name) > MaxName:
		return Errorf(ErrInvalid, "document name is not 1 to %d bytes", MaxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, isControl):
		return Errorf(ErrInvalid, "document name %q is not UTF-8 without control characters", name)
	case strings.Contains(name, "/") || name == "." || name == "..":
		return Errorf(ErrInvalid, "document name %q is no name of a file", name)
	}
	switch name {
	case "config", "pwd", "config.json", "provider_pools.json":
		return Errorf(ErrInvalid, "document name %q is reserved", name)
	case "usage:cache": // the name of its key in Redis
		return misnamed(name, "usage-cache.json")
	}
	if gatewayDocuments[name] {
		return misnamed(name, name+".json")
	}
	return nil
}

func misnamed(name, file string) error {
	return Errorf(ErrInvalid, "document name %q is reserved", name).
		WithHint("a document has the name of its file: %s", file)
}

// ValidatePath checks the path of a carried file: relative, slash separated,
// clean, without an element "..", at most [MaxPath] bytes of UTF-8.
func ValidatePath(p string) error {
	switch {
	case p == "" || len(p) > MaxPath:
		return Errorf(ErrInvalid, "file path is not 1 to %d bytes", MaxPath)
	case !utf8.ValidString(p) || strings.ContainsRune(p, 0):
		return Errorf(ErrInvalid, "file path %q is not UTF-8 without NUL", p)
	case strings.HasPrefix(p, "/"):
		return Errorf(ErrInvalid, "file path %q is not relative", p)
	}
	for el := range strings.SplitSeq(p, "/") {
		if el == "" || el == "." || el == ".." {
			return Errorf(ErrInvalid, "file path %q has an element %q", p, el)
		}
	}
	return nil
}

// EscapeSegment writes a type or id as one segment of a URL path: "~" for the
// empty type, "~~" for a leading "~", the rest percent-encoded.
func EscapeSegment(s string) string {
	if s == "" {
		return "~"
	}
	if rest, ok := strings.CutPrefix(s, "~"); ok {
		s = "~~" + rest
	}
	// A dot segment would be taken out of the path by clients and proxies.
	if s == "." || s == ".." {
		return strings.ReplaceAll(s, ".", "%2E")
	}
	return url.PathEscape(s)
}

// UnescapeSegment reads what [EscapeSegment] wrote, after percent-decoding.
func UnescapeSegment(s string) (string, error) {
	switch {
	case s == "":
		return "", Errorf(ErrInvalid, "empty path segment; the empty type is written ~")
	case s == "~":
		return "", nil
	case strings.HasPrefix(s, "~~"):
		return s[1:], nil
	case s[0] == '~':
		return "", Errorf(ErrInvalid, "path segment %q: a leading ~ is written ~~", s)
	}
	return s, nil
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

// quoteWord quotes a word for people where it would be ambiguous.
func quoteWord(s string) string {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '"' || r == 0x7f || r == utf8.RuneError }) {
		return fmt.Sprintf("%q", s)
	}
	return s
}
