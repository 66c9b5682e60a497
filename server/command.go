package server

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// A command is a small body. set takes the raw value of one field; the JSON
// tags of the type are what the OpenAPI document says of it, and a test holds
// the two together.
type command interface {
	set(name string, raw []byte) error
}

var errUnknownField = errors.New("there is no such field here")

// decode reads a small body strictly: no unknown field, none twice, none of
// another type, nothing behind it. The required ones must be there.
func (x *exchange) decode(c command, required ...string) error {
	var names [8]string
	seen := names[:0]
	var faults []fieldFault
	if len(x.body) > 0 {
		err := rawjson.Object(x.body, func(key, value []byte) error {
			name, ok := rawjson.Unquote(key)
			switch {
			case !ok:
				return poolkeeper.Errorf(poolkeeper.ErrInvalid, "the name of a field is not valid UTF-8")
			case slices.Contains(seen, name):
				faults = append(faults, fault(name, "stands twice"))
				return nil
			}
			seen = append(seen, name)
			if err := c.set(name, value); err != nil {
				faults = append(faults, fault(name, err.Error()))
			}
			if len(faults) > maxFaults {
				return faulty(faults)
			}
			return nil
		})
		if err != nil {
			return not("object", err)
		}
	}
	for _, name := range required {
		if !slices.Contains(seen, name) {
			faults = append(faults, fault(name, "is missing"))
		}
	}
	if len(faults) > 0 {
		return faulty(faults)
	}
	return nil
}

// maxFaults is how many faults one answer names, about.
const maxFaults = 8

var escapePointer = strings.NewReplacer("~", "~0", "/", "~1")

func fault(name, detail string) fieldFault {
	return fieldFault{Pointer: "#/" + escapePointer.Replace(clip(name)), Detail: detail}
}

// faulty refuses a body; the first fault is said in words as well.
func faulty(faults []fieldFault) error {
	first := faults[0]
	return &refusal{
		error:  poolkeeper.Errorf(poolkeeper.ErrInvalid, "field %s of the body: %s", strings.TrimPrefix(first.Pointer, "#/"), first.Detail),
		fields: faults,
	}
}

func readInt(raw []byte, dst *int64, least, most int64) error {
	n, exact := rawjson.ParseCount(raw)
	if rawjson.KindOf(raw) != rawjson.KindNumber || !exact {
		return errors.New("is not an integer")
	}
	if n < least || n > most {
		return fmt.Errorf("is not %d to %d", least, most)
	}
	*dst = n
	return nil
}

func readBool(raw []byte, dst *bool) error {
	if rawjson.KindOf(raw) != rawjson.KindBool {
		return errors.New("is not true or false")
	}
	*dst = raw[0] == 't'
	return nil
}

func readString(raw []byte, dst *string) error {
	s, ok := rawjson.Unquote(raw)
	if !ok {
		return errors.New("is not a string of valid Unicode")
	}
	*dst = s
	return nil
}

func readTime(raw []byte, dst *time.Time) error {
	s, ok := rawjson.Unquote(raw)
	if !ok {
		return errors.New("is not a string")
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.UnixMilli() <= 0 {
		return errors.New("is not a time after 1970 as RFC 3339 writes it, such as 2026-05-29T22:10:00Z")
	}
	*dst = t
	return nil
}

// names reads a body that is an array of strings.
func (x *exchange) names() ([]string, error) {
	out := []string{}
	err := rawjson.Array(x.body, func(i int, value []byte) error {
		s, ok := rawjson.Unquote(value)
		if !ok {
			return faulty([]fieldFault{{Pointer: fmt.Sprintf("#/%d", i), Detail: "is not a string of valid Unicode"}})
		}
		out = append(out, s)
		return nil
	})
	return out, notArray(err)
}

// elements returns the raw elements of a body that is an array, each in bytes of
// its own: one that stays in the store would keep all the others in memory.
func (x *exchange) elements() ([][]byte, error) {
	out := [][]byte{}
	err := rawjson.Array(x.body, func(_ int, value []byte) error {
		out = append(out, bytes.Clone(value))
		return nil
	})
	return out, notArray(err)
}

func notArray(err error) error { return not("array", err) }

// not says of a body that cannot be read what it is not.
func not(what string, err error) error {
	var syntax *rawjson.SyntaxError
	if errors.As(err, &syntax) {
		return poolkeeper.Errorf(poolkeeper.ErrInvalid, "the body is not a JSON %s: %v", what, syntax)
	}
	return err
}
