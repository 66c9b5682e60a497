package rawjson

import (
	"errors"
	"strconv"
	"strings"
)

// A pointer is a JSON Pointer (RFC 6901), split and unescaped.
type pointer []string

var errBadPointer = errors.New(`is not a JSON Pointer: one is empty or begins with "/", and "~" is written "~0" and "/" in a name "~1"`)

func parsePointer(s string) (pointer, error) {
	if s == "" {
		return nil, nil
	}
	if s[0] != '/' {
		return nil, errBadPointer
	}
	p := pointer(strings.Split(s[1:], "/"))
	for i, token := range p {
		for rest := token; ; {
			_, after, found := strings.Cut(rest, "~")
			if !found {
				break
			}
			if after == "" || after[0] != '0' && after[0] != '1' {
				return nil, errBadPointer
			}
			rest = after
		}
		// In this order, so that "~01" is "~1" and not a slash.
		p[i] = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
	}
	return p, nil
}

// String returns p in its written form. Names that have no UTF-8 form are
// mangled, since it is for messages.
func (p pointer) String() string {
	var b strings.Builder
	for _, token := range p {
		b.WriteByte('/')
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~", "~0"), "/", "~1")
		b.WriteString(strings.ToValidUTF8(token, "\ufffd"))
	}
	return b.String()
}

// at gives a *SyntaxError its Path and returns it.
func at(err error, p pointer) error {
	if e := (*SyntaxError)(nil); errors.As(err, &e) {
		e.Path = p.String()
	}
	return err
}

// isPrefixOf reports whether p is a proper ancestor of q.
func (p pointer) isPrefixOf(q pointer) bool {
	if len(p) >= len(q) {
		return false
	}
	for i := range p {
		if p[i] != q[i] {
			return false
		}
	}
	return true
}

// arrayIndex reads a reference token as an array index below limit.
func arrayIndex(token string, limit int) (i int, ok bool) {
	for _, c := range []byte(token) {
		if !isDigit(c) {
			return 0, false // Atoi would take a sign
		}
	}
	if len(token) > 1 && token[0] == '0' {
		return 0, false
	}
	i, err := strconv.Atoi(token)
	return i, err == nil && i < limit
}

// child returns the node that the token names in node n: the last one, if a
// key occurs several times.
func (t *tree) child(n int, token string) (node int, ok bool) {
	switch t.bracket(n) {
	case '{':
		for k := range t.children(n) {
			if string(t.name(k)) == token {
				node, ok = k, true
			}
		}
	case '[':
		want, valid := arrayIndex(token, len(t.data))
		if !valid {
			return 0, false
		}
		for k := range t.children(n) {
			if want == 0 {
				return k, true
			}
			want--
		}
	}
	return node, ok
}

// find returns the node that p points to.
func (t *tree) find(p pointer) (node int, ok bool) {
	for _, token := range p {
		if node, ok = t.child(node, token); !ok {
			return 0, false
		}
	}
	return node, true
}
