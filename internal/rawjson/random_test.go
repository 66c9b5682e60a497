package rawjson

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// A generator makes random documents with all that an encoder would change.
type generator struct {
	*rand.Rand
	keys []string // raw
}

func newGenerator(t testing.TB) *generator {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return &generator{
		Rand: rand.New(rand.NewPCG(seed, 0)),
		keys: []string{`"a"`, `"b"`, `"c"`, `"\u0061"`, `""`, `"__proto__"`, `"a/b"`, `"~"`, `"\u003c"`, `"10"`, `"é"`},
	}
}

var oddScalars = []string{
	"null", "true", "false", "0", "-0", "1.0", "1e400", "1E-7", "123456789012345678901234567890",
	"9007199254740993", `""`, `"\ud800"`, `"\u003c\/"`, `"\u0000"`, `"\ud83d\ude00"`, `"grüße <&>"`, "\"\u2028\"", `"a\"b\\"`,
}

func (g *generator) pick(from []string) string { return from[g.IntN(len(from))] }

func (g *generator) space() string {
	return g.pick([]string{"", "", "", " ", "\n  ", "\t", "\r\n"})
}

func (g *generator) value(depth int) string {
	if depth == 0 || g.IntN(3) == 0 {
		return g.pick(oddScalars)
	}
	if g.IntN(3) == 0 {
		return g.list("[", "]", func() string { return g.value(depth - 1) })
	}
	return g.object(depth)
}

func (g *generator) object(depth int) string {
	return g.list("{", "}", func() string {
		return g.pick(g.keys) + g.space() + ":" + g.space() + g.value(depth-1)
	})
}

func (g *generator) list(begin, end string, item func() string) string {
	var b strings.Builder
	b.WriteString(begin + g.space())
	for i := range g.IntN(6) {
		if i > 0 {
			b.WriteString("," + g.space())
		}
		b.WriteString(item() + g.space())
	}
	return b.String() + end
}

// decode returns what encoding/json makes of a document, with numbers as text.
func decode(t testing.TB, data []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return v
}

// raws returns the raw members of an object, keys and values in turn, without
// those of the given keys.
func raws(t testing.TB, obj []byte, without ...string) []string {
	t.Helper()
	var out []string
	err := Object(obj, func(key, value []byte) error {
		if !slices.Contains(without, string(keyName(key))) {
			out = append(out, string(key), string(value))
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%s: %v", obj, err)
	}
	return out
}

func nested(levels int) []byte {
	return []byte(strings.Repeat(`{"a":[`, levels/2) + strings.Repeat(`]}`, levels/2))
}
