package poolkeeper

import (
	"fmt"
	"strings"

	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// A Field is one field of a provider's runtime state: what traffic changes.
type Field uint8

// The runtime fields, with the names that they have in a definition.
const (
	UsageCount Field = iota
	ErrorCount
	RefreshCount
	LastUsed
	LastErrorTime
	LastErrorMessage
	IsHealthy
	LastHealthCheckTime
	LastHealthCheckModel
	NeedsRefresh
	ScheduledRecoveryTime
	LastRefreshTime
	LastSelectionSeq

	NumFields = iota
)

var fieldNames = [NumFields]string{
	"usageCount", "errorCount", "refreshCount", "lastUsed", "lastErrorTime", "lastErrorMessage", "isHealthy",
	"lastHealthCheckTime", "lastHealthCheckModel", "needsRefresh", "scheduledRecoveryTime", "lastRefreshTime",
	"_lastSelectionSeq",
}

// String is the name of the field in a definition.
func (f Field) String() string {
	if int(f) < NumFields {
		return fieldNames[f]
	}
	return fmt.Sprintf("Field(%d)", uint8(f))
}

// FieldNamed finds a runtime field by its exact name.
func FieldNamed(name string) (Field, bool) {
	for f, n := range fieldNames {
		if n == name {
			return Field(f), true
		}
	}
	return 0, false
}

// Fields returns all runtime fields in their order.
func Fields() []Field {
	fs := make([]Field, NumFields)
	for i := range fs {
		fs[i] = Field(i)
	}
	return fs
}

// Absent is the literal of a runtime field that is not there although the
// definition may have one.
const Absent = ""

// State is the runtime state that is laid over a definition. A field that it
// does not have is read from the definition; one that it has as [Absent] is
// not there at all; any other is a JSON literal, kept to the byte. The zero
// State has no field. A State is a value: copies are independent.
type State struct {
	lit [NumFields]string
	has uint16
	// DecidedAt is when the health group was last decided, in milliseconds
	// since 1970; 0 where it never was.
	DecidedAt int64
}

// Get returns the literal of a field, and whether the state has it.
func (s *State) Get(f Field) (lit string, ok bool) { return s.lit[f], s.has&(1<<f) != 0 }

// Set lays a literal over a field. It must be a JSON value, or [Absent].
func (s *State) Set(f Field, lit string) { s.lit[f] = lit; s.has |= 1 << f }

// Drop takes a field out of the state, so that the definition's is read.
func (s *State) Drop(f Field) { s.lit[f] = ""; s.has &^= 1 << f }

// IsZero reports whether the state has no field.
func (s *State) IsZero() bool { return s.has == 0 && s.DecidedAt == 0 }

// Literals is a definition's own literal of each runtime field, [Absent] where
// it has none. With duplicate keys the last one counts, as in JavaScript.
type Literals [NumFields]string

// LiteralsOf reads the runtime fields of a definition.
func LiteralsOf(definition []byte) Literals {
	var raw [NumFields][]byte
	rawjson.GetMany(definition, fieldNames[:], raw[:])
	var l Literals
	for f, v := range raw {
		l[f] = string(v)
	}
	return l
}

// Effective returns the literal of a field as readers see it.
func (s *State) Effective(f Field, def *Literals) string {
	if lit, ok := s.Get(f); ok {
		return lit
	}
	return def[f]
}

// EffectiveAll returns all literals as readers see them.
func (s *State) EffectiveAll(def *Literals) Literals {
	var l Literals
	for f := range l {
		l[f] = s.Effective(Field(f), def)
	}
	return l
}

// Overlay returns the effective provider: the definition with the state laid
// over it. Bytes outside the fields that differ are those of the definition.
func (s *State) Overlay(definition []byte) ([]byte, error) {
	var edits [NumFields]rawjson.Edit
	n := 0
	for f := range Field(NumFields) {
		lit, ok := s.Get(f)
		if !ok {
			continue
		}
		edits[n] = rawjson.Edit{Key: fieldNames[f]}
		if lit != Absent {
			edits[n].Value = []byte(lit)
		}
		n++
	}
	if n == 0 {
		return definition, nil
	}
	return rawjson.SetMany(definition, edits[:n])
}

// Carry returns what must be laid over a provider when its definition is
// replaced, so that no effective runtime field changes: each field that the
// old state lacks and whose literal differs between the definitions.
func (s *State) Carry(oldDef, newDef *Literals) State {
	next := *s
	for f := range Field(NumFields) {
		if _, ok := s.Get(f); !ok && oldDef[f] != newDef[f] {
			next.Set(f, oldDef[f])
		}
	}
	return next
}

// Int reads a literal as the integer that it denotes; what is none is 0.
func Int(lit string) int64 {
	n, _ := rawjson.ParseCount([]byte(lit))
	return n
}

// Truthy reads a literal as JavaScript would: false, null, 0, "" and an absent
// field are false.
func Truthy(lit string) bool {
	switch lit {
	case "", "false", "null", `""`:
		return false
	}
	if c := lit[0]; c == '-' || c >= '0' && c <= '9' {
		mantissa, _, _ := strings.Cut(strings.ToLower(lit), "e")
		return strings.ContainsAny(mantissa, "123456789")
	}
	return true
}

// Healthy reports whether a provider with that literal of isHealthy counts as
// healthy: an absent field does.
func Healthy(lit string) bool { return lit == Absent || Truthy(lit) }
