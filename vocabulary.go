package poolkeeper

import (
	"fmt"
	"net/url"
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

// KeyKind says what a [Key] names.
type KeyKind string

// The kinds of keys.
const (
	KindPool      KeyKind = "pool"       // Type: one pool with all its providers
	KindPools     KeyKind = "pools"      // all pools, in their order; for Load only
	KindProvider  KeyKind = "provider"   // Type, Name: one provider; for Load only, its ops are ordered by the pool
	KindTypes     KeyKind = "types"      // the types in their order
	KindToken     KeyKind = "token"      // Type, Name: the token stored under that provider ref
	KindTokenRefs KeyKind = "token-refs" // Name: normalised token path; the value is the ref that owns the token
	KindConfig    KeyKind = "config"     // the service configuration
	KindDocument  KeyKind = "document"   // Name: any other JSON document
	KindPassword  KeyKind = "password"   // the UI password as the file has it
	KindSession   KeyKind = "session"    // Name: SessionName of the bearer
	KindFile      KeyKind = "file"       // Name: path relative to the parent of configs/, slash separated
	KindMeta      KeyKind = "meta"       // facts about the store; for Load only
)

// A Key is what an op is ordered by: ops of one instance on one key take
// effect in the order in which they were acknowledged. Files are ordered
// together, and so are token refs.
//
// For Load, a key of kind token, token-refs, document, session or file without
// a Name means all of that kind.
type Key struct {
	Kind KeyKind `json:"kind"`
	Type string  `json:"type,omitempty"`
	Name string  `json:"name,omitempty"`
}

// PoolKey names the pool of a type.
func PoolKey(typ string) Key { return Key{Kind: KindPool, Type: typ} }

// ProviderKey names one provider, for Load.
func ProviderKey(r Ref) Key { return Key{Kind: KindProvider, Type: r.Type, Name: r.ID} }

// TokenKey names the token stored under a ref.
func TokenKey(r Ref) Key { return Key{Kind: KindToken, Type: r.Type, Name: r.ID} }

// DocumentKey names a document other than the configuration.
func DocumentKey(name string) Key { return Key{Kind: KindDocument, Name: name} }

// FileKey names a carried file by its path relative to the parent of configs/.
func FileKey(path string) Key { return Key{Kind: KindFile, Name: path} }

// TokenRefKey names the owner of a token file by the normalised path of it.
func TokenRefKey(path string) Key { return Key{Kind: KindTokenRefs, Name: path} }

// SessionKey names a session by [SessionName] of its bearer.
func SessionKey(name string) Key { return Key{Kind: KindSession, Name: name} }

// Keys that need no name.
var (
	ConfigKey   = Key{Kind: KindConfig}
	PasswordKey = Key{Kind: KindPassword}
	TypesKey    = Key{Kind: KindTypes}
	PoolsKey    = Key{Kind: KindPools}
	MetaKey     = Key{Kind: KindMeta}
)

// IsValue reports whether the key holds one value of bytes, changed by
// [OpPut], [OpPatch] and [OpDelete].
func (k Key) IsValue() bool {
	switch k.Kind {
	case KindToken, KindTokenRefs, KindConfig, KindDocument, KindPassword, KindSession, KindFile:
		return true
	}
	return false
}

// Limit is the most bytes that a value under the key may have.
func (k Key) Limit() int {
	switch k.Kind {
	case KindFile:
		return MaxFile
	case KindPassword:
		return MaxPassword
	case KindTokenRefs:
		return 8 * (MaxType + MaxID) // JSON writes a control character in six bytes
	default:
		return MaxDocument
	}
}

// String prints the key for people and reports. It never holds a secret: a
// session is named by the hash of its bearer.
func (k Key) String() string {
	s := string(k.Kind)
	switch k.Kind {
	case KindPool:
		return s + " " + quoteWord(k.Type)
	case KindProvider, KindToken:
		return s + " " + Ref{k.Type, k.Name}.String()
	case KindDocument, KindFile, KindTokenRefs, KindSession:
		if k.Name != "" {
			return s + " " + quoteWord(k.Name)
		}
	}
	return s
}

// Validate reports [ErrInvalid] or [ErrTooLarge] where no op can have the key.
func (k Key) Validate() error {
	typed := k.Kind == KindPool || k.Kind == KindToken
	named := k.IsValue() && k.Kind != KindConfig && k.Kind != KindPassword
	if k.Type != "" && !typed || k.Name != "" && !named {
		return Errorf(ErrInvalid, "a key of kind %q has a type or name too many", string(k.Kind))
	}
	switch k.Kind {
	case KindPool:
		return ValidateType(k.Type)
	case KindToken:
		return Ref{k.Type, k.Name}.Validate()
	case KindTypes, KindConfig, KindPassword:
		return nil
	case KindDocument:
		return ValidateDocumentName(k.Name)
	case KindSession:
		if len(k.Name) != 64 || strings.Trim(k.Name, "0123456789abcdef") != "" {
			return Errorf(ErrInvalid, "session name is not 64 lower-case hex digits")
		}
		return nil
	case KindFile:
		return ValidatePath(k.Name)
	case KindTokenRefs:
		if k.Name == "" || len(k.Name) > MaxPath || !utf8.ValidString(k.Name) {
			return Errorf(ErrInvalid, "token path is not 1 to %d bytes of UTF-8", MaxPath)
		}
		return nil
	}
	return Errorf(ErrInvalid, "no op can have a key of kind %q", string(k.Kind))
}

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
