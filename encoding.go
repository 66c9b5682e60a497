package poolkeeper

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// decodeFault says what encoding/json found wrong, without the content.
func decodeFault(err error) string {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return "not valid JSON"
	case errors.As(err, &typ):
		return "field " + typ.Field + " has the wrong type"
	}
	return err.Error()
}

// encodedState is how a state is written: the literals as strings, and as bytes
// those that are not UTF-8, as a string of JSON cannot hold them.
type encodedState struct {
	Fields    map[string]string `json:"fields,omitempty"`
	Bytes     map[string][]byte `json:"bytes,omitempty"`
	DecidedAt int64             `json:"decidedAt,omitempty"`
}

// MarshalJSON writes the state as an object of field names to literals as
// strings, the empty string for [Absent]; beside them "bytes", of field names to
// literals that are not UTF-8, in base64, and "decidedAt".
func (s State) MarshalJSON() ([]byte, error) {
	out := encodedState{DecidedAt: s.DecidedAt}
	for f := range Field(NumFields) {
		switch lit, ok := s.Get(f); {
		case !ok:
		case utf8.ValidString(lit):
			if out.Fields == nil {
				out.Fields = make(map[string]string, NumFields)
			}
			out.Fields[f.String()] = lit
		default:
			if out.Bytes == nil {
				out.Bytes = map[string][]byte{}
			}
			out.Bytes[f.String()] = []byte(lit)
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote, strictly.
func (s *State) UnmarshalJSON(data []byte) error {
	var in encodedState
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return err
	}
	*s = State{DecidedAt: in.DecidedAt}
	for name, lit := range in.Fields {
		f, ok := FieldNamed(name)
		if !ok {
			return Errorf(ErrInvalid, "%q is no runtime field", name)
		}
		s.Set(f, lit)
	}
	for name, lit := range in.Bytes {
		f, ok := FieldNamed(name)
		if _, twice := s.Get(f); !ok || twice {
			return Errorf(ErrInvalid, "%q is no runtime field, or stands twice", name)
		}
		s.Set(f, string(lit))
	}
	return s.validate()
}

// validate checks that what is laid over a definition leaves it valid.
func (s *State) validate() error {
	if s == nil {
		return nil
	}
	for f := range Field(NumFields) {
		if lit, _ := s.Get(f); lit != Absent && (rawjson.Valid([]byte(lit)) != nil || strings.TrimSpace(lit) != lit) {
			return Errorf(ErrInvalid, "the literal of %s is not one JSON value", f)
		}
	}
	return nil
}

// EncodeTokenOwner writes the ref that owns a token file, the value under a
// [TokenRefKey].
func EncodeTokenOwner(r Ref) []byte {
	b, _ := json.Marshal([2]string{r.Type, r.ID}) // two strings always marshal
	return b
}

// DecodeTokenOwner reads what [EncodeTokenOwner] wrote.
func DecodeTokenOwner(data []byte) (Ref, error) {
	if r, ok := plainOwner(data); ok {
		return r, r.Validate()
	}
	var pair []string
	if err := json.Unmarshal(data, &pair); err != nil || len(pair) != 2 {
		return Ref{}, Errorf(ErrInvalid, "the owner of a token path is not written as [type, id]")
	}
	r := Ref{pair[0], pair[1]}
	return r, r.Validate()
}

// plainOwner reads the owner as nearly all are written: without white space, and
// with nothing but ASCII that needs no escape.
func plainOwner(data []byte) (r Ref, ok bool) {
	for _, c := range data {
		if c < ' ' || c > '~' || c == '\\' {
			return r, false
		}
	}
	s, begins := strings.CutPrefix(string(data), `["`)
	s, ends := strings.CutSuffix(s, `"]`)
	r.Type, r.ID, ok = strings.Cut(s, `","`)
	return r, begins && ends && ok && !strings.Contains(r.Type, `"`) && !strings.Contains(r.ID, `"`)
}

// SessionName is the name of the session of a bearer: the SHA-256 of it in
// hex, which keeps the bearer out of key names.
func SessionName(bearer string) string {
	sum := sha256.Sum256([]byte(bearer))
	return hex.EncodeToString(sum[:])
}

// EncodeSession writes the value under a [SessionKey]: the bearer, so that an
// export is complete, and the session document.
func EncodeSession(bearer string, document []byte) []byte {
	b := append([]byte(`{"bearer":`), rawjson.Quote(bearer)...)
	b = append(b, `,"session":`...)
	b = append(b, document...)
	return append(b, '}')
}

// DecodeSession reads what [EncodeSession] wrote.
func DecodeSession(value []byte) (bearer string, document []byte, err error) {
	raw, _ := rawjson.Get(value, "bearer")
	document, ok := rawjson.Get(value, "session")
	bearer, isString := rawjson.Unquote(raw)
	if !ok || !isString {
		return "", nil, Errorf(ErrDamaged, "a stored session cannot be read")
	}
	return bearer, document, nil
}
