package poolkeeper

import (
	"strings"
	"unicode/utf8"
)

// Limits, in bytes unless said otherwise. What exceeds one is refused with
// [ErrTooLarge] and changes nothing.
const (
	MaxType       = 256
	MaxID         = 512
	MaxName       = 512
	MaxPath       = 4096
	MaxDefinition = 1 << 20
	MaxDocument   = 16 << 20
	MaxFile       = 64 << 20
	MaxPassword   = 4096
	MaxMessage    = 64 << 10
	MaxKey        = 255 // of an idempotency key

	// MaxUsage is the most that one op may add to usageCount.
	MaxUsage = 1_000_000_000_000
)

// A Ref addresses one provider: its type, and its id within the type. Both are
// exact and case-sensitive. The empty type is legal, the empty id is not.
type Ref struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// String prints the ref for people, quoted where it would be ambiguous.
func (r Ref) String() string { return quoteWord(r.Type) + " " + quoteWord(r.ID) }

// Validate reports [ErrInvalid] or [ErrTooLarge] where the ref cannot be one.
func (r Ref) Validate() error {
	if err := ValidateType(r.Type); err != nil {
		return err
	}
	return ValidateID(r.ID)
}

// ValidateType checks a provider type: any UTF-8 of at most [MaxType] bytes,
// the empty string included.
func ValidateType(t string) error {
	switch {
	case len(t) > MaxType:
		return Errorf(ErrTooLarge, "provider type of %d bytes; the limit is %d", len(t), MaxType)
	case !utf8.ValidString(t):
		return Errorf(ErrInvalid, "provider type is not valid UTF-8")
	}
	return nil
}

// ValidateID checks a provider id: 1 to [MaxID] bytes of UTF-8 without NUL.
func ValidateID(id string) error {
	switch {
	case id == "":
		return Errorf(ErrInvalid, "provider id is empty")
	case len(id) > MaxID:
		return Errorf(ErrTooLarge, "provider id of %d bytes; the limit is %d", len(id), MaxID)
	case !utf8.ValidString(id) || strings.IndexByte(id, 0) >= 0:
		return Errorf(ErrInvalid, "provider id is not UTF-8 without NUL")
	}
	return nil
}
