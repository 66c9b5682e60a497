package configdir

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
	"github.com/poolkeeper/poolkeeper/internal/show"
)

// A typedPool is one pool as the file has it.
type typedPool struct {
	typ         string
	definitions [][]byte // parts of the file, not copies
}

// parsePools reads the content of provider_pools.json. An error names the line
// and column, or the JSON Pointer of what cannot be taken.
func parsePools(data []byte, report *Report) ([]typedPool, error) {
	data, err := withoutBOM(data, poolsFile, report)
	if err != nil {
		return nil, err
	}
	var pools []typedPool
	position := map[string]int{}
	err = rawjson.Object(data, func(key, value []byte) error {
		typ, ok := rawjson.Unquote(key)
		if !ok {
			return poolkeeper.Errorf(poolkeeper.ErrInvalid, "the name of provider type %d is not valid UTF-8", len(pools)+1)
		}
		if err := poolkeeper.ValidateType(typ); err != nil {
			return err
		}
		definitions, err := parsePool(typ, value)
		if err != nil {
			return err
		}
		if i, ok := position[typ]; ok {
			report.note(poolsFile, pointer(typ), CodeDuplicateType, "the type stands twice; the last pool counts, as it does for the gateway")
			pools[i].definitions = definitions
			return nil
		}
		position[typ] = len(pools)
		pools = append(pools, typedPool{typ, definitions})
		return nil
	})
	return pools, syntax(err, data)
}

func parsePool(typ string, value []byte) ([][]byte, error) {
	if kind := rawjson.KindOf(value); kind != rawjson.KindArray {
		return nil, poolkeeper.Errorf(poolkeeper.ErrInvalid, "%s is %s, and must be an array of providers", show.Name(pointer(typ)), article(kind))
	}
	definitions := [][]byte{}
	err := rawjson.Array(value, func(i int, element []byte) error {
		if kind := rawjson.KindOf(element); kind != rawjson.KindObject {
			return poolkeeper.Errorf(poolkeeper.ErrInvalid, "%s is %s, and must be an object", show.Name(pointer(typ, i)), article(kind))
		}
		if len(element) > poolkeeper.MaxDefinition {
			// Neither white space nor runtime state counts: an export may have
			// put them there.
			element = rawjson.Compact(nil, element)
			if bare := len(withoutRuntime(element)); bare > poolkeeper.MaxDefinition {
				return poolkeeper.Errorf(poolkeeper.ErrTooLarge, "%s has %d bytes without white space and runtime state; the limit is %d", show.Name(pointer(typ, i)), bare, poolkeeper.MaxDefinition)
			}
		}
		definitions = append(definitions, element)
		return nil
	})
	return definitions, err
}

func article(k rawjson.Kind) string {
	switch k {
	case rawjson.KindNull:
		return "null"
	case rawjson.KindArray, rawjson.KindObject:
		return "an " + k.String()
	}
	return "a " + k.String()
}

// withoutBOM prepares a file for parsing.
func withoutBOM(data []byte, file string, report *Report) ([]byte, error) {
	if isUTF16(data) {
		return nil, poolkeeper.Errorf(poolkeeper.ErrInvalid, "invalid JSON at 1:1: the file is in UTF-16").WithHint("save it as UTF-8")
	}
	data, had := rawjson.StripBOM(data)
	if had {
		report.note(file, "", CodeBOM, "begins with a byte order mark, with which the gateway cannot read it")
	}
	return data, nil
}

// isUTF16 recognises UTF-16 by its byte order mark, or by the NUL that every
// other byte of JSON is there.
func isUTF16(data []byte) bool {
	return bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) ||
		len(data) >= 2 && (data[0] == 0) != (data[1] == 0)
}

// syntax makes an error about JSON one of the closed set.
func syntax(err error, data []byte) error {
	var se *rawjson.SyntaxError
	if !errors.As(err, &se) {
		return err
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return poolkeeper.Errorf(poolkeeper.ErrInvalid, "invalid JSON at %d:%d: the file is empty", se.Line, se.Column)
	}
	return poolkeeper.Errorf(poolkeeper.ErrInvalid, "%v", se)
}

// formatPools writes provider_pools.json as the gateway does: JSON.stringify
// with two spaces. Of the providers, only white space changes.
func formatPools(pools []typedPool) ([]byte, error) {
	if len(pools) == 0 {
		return []byte("{}"), nil
	}
	size := 0
	for _, p := range pools {
		for _, def := range p.definitions {
			size += len(def) + len(def)/4
		}
	}
	out := append(make([]byte, 0, size+1024), '{')
	for i, p := range pools {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, "\n  "...)
		out = rawjson.AppendQuote(out, p.typ)
		if len(p.definitions) == 0 {
			out = append(out, ": []"...)
			continue
		}
		out = append(out, ": ["...)
		for k, def := range p.definitions {
			if k > 0 {
				out = append(out, ',')
			}
			out = appendDefinition(append(out, "\n    "...), def)
		}
		out = append(out, "\n  ]"...)
	}
	out = append(out, "\n}"...)
	if err := rawjson.Valid(out); err != nil {
		return nil, fmt.Errorf("%w: the definitions do not make a valid document: %v", poolkeeper.ErrInvalid, err)
	}
	return out, nil
}

// appendDefinition indents a definition. What is nested so deeply that it would
// be mostly white space is written without any.
func appendDefinition(out, def []byte) []byte {
	const few = 4 << 10 // bytes that cannot become too many
	if len(def) > few && rawjson.IndentLen(def, "    ", "  ") > poolkeeper.MaxDocument {
		return rawjson.Compact(out, def)
	}
	return rawjson.Indent(out, def, "    ", "  ")
}
