package poolkeeper

import (
	"strings"
	"unicode/utf8"
)

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
