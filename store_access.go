package poolkeeper

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// How the gateway hashes a password: PBKDF2 with HMAC-SHA-512, the salt being
// the text of its 32 hex digits.
const (
	passwordPrefix     = "pbkdf2:"
	passwordIterations = 310_000
	passwordKeyLength  = 64

	// MinPassword is the fewest characters that a new password may have.
	MinPassword = 12
)

// SetPassword sets the UI password, which is stored hashed. It is trimmed
// first, as the gateway does, and must then have [MinPassword] characters.
func (s *Store) SetPassword(ctx context.Context, password string) (Result, error) {
	hashed, err := HashPassword(password)
	if err != nil {
		return Result{}, Annotate(err, "set", "password")
	}
	return s.apply(ctx, Op{Kind: OpPut, Key: PasswordKey, Data: hashed})
}

// HashPassword returns what a pwd file holds for the password.
func HashPassword(password string) ([]byte, error) {
	password = trimSpace(password)
	switch {
	case !utf8.ValidString(password):
		return nil, Errorf(ErrInvalid, "password is not valid UTF-8")
	case len(password) > MaxPassword/2:
		return nil, Errorf(ErrTooLarge, "password of %d bytes; the limit is %d", len(password), MaxPassword/2)
	case utf8.RuneCountInString(password) < MinPassword:
		return nil, Errorf(ErrInvalid, "password has fewer than %d characters", MinPassword)
	}
	var salt [16]byte
	rand.Read(salt[:]) // never fails
	text := hex.EncodeToString(salt[:])
	key, err := pbkdf2.Key(sha512.New, password, []byte(text), passwordIterations, passwordKeyLength)
	if err != nil {
		return nil, &Error{Err: ErrInternal, Detail: "password cannot be hashed: " + err.Error()}
	}
	return []byte(passwordPrefix + text + ":" + hex.EncodeToString(key)), nil
}

// VerifyPassword reports whether the password is the one that is stored, plain
// or hashed, in constant time. Without a stored one, or with a blank one,
// nothing verifies: there is no default. An error means that the store could
// not be asked; then nobody is let in either.
func (s *Store) VerifyPassword(ctx context.Context, password string) (bool, error) {
	snap, err := s.b.Load(ctx, PasswordKey)
	if err != nil {
		return false, Annotate(err, "verify", "password")
	}
	d, ok := snap.Values[PasswordKey]
	return ok && CheckPassword(d.Data, password), nil
}

// CheckPassword compares a password with the content of a pwd file.
func CheckPassword(stored []byte, password string) bool {
	want := trimSpace(strings.ToValidUTF8(string(stored), "\uFFFD"))
	got := trimSpace(password)
	if want == "" || got == "" || len(got) > MaxPassword {
		return false
	}
	hashed, ok := strings.CutPrefix(want, passwordPrefix)
	if !ok {
		return subtle.ConstantTimeCompare([]byte(want), []byte(got)) == 1
	}
	salt, digits, ok := strings.Cut(hashed, ":")
	sum, err := hex.DecodeString(digits)
	if !ok || err != nil || salt == "" || len(sum) != passwordKeyLength {
		return false
	}
	key, err := pbkdf2.Key(sha512.New, got, []byte(salt), passwordIterations, passwordKeyLength)
	return err == nil && subtle.ConstantTimeCompare(key, sum) == 1
}

// trimSpace trims as JavaScript's String.prototype.trim does.
func trimSpace(s string) string {
	return strings.TrimFunc(s, func(r rune) bool {
		switch r {
		case '\t', '\n', '\v', '\f', '\r', ' ', 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0xFEFF:
			return true
		}
		return r >= 0x2000 && r <= 0x200A
	})
}

// A Session is a UI session.
type Session struct {
	Document []byte // what the gateway keeps for it: username, loginTime, expiryTime
	// ExpiresAt is zero for a session that never expires.
	ExpiresAt time.Time
}

// Session returns the session of a bearer; one that has expired is
// [ErrNotFound]. No error names the bearer.
func (s *Store) Session(ctx context.Context, bearer string) (Session, error) {
	d, err := s.value(ctx, SessionKey(SessionName(bearer)))
	if err != nil {
		return Session{}, err
	}
	stored, doc, err := DecodeSession(d.Data)
	if err != nil {
		return Session{}, err
	}
	if d.ExpiresAt != 0 && s.now().UnixMilli() >= d.ExpiresAt || subtle.ConstantTimeCompare([]byte(stored), []byte(bearer)) != 1 {
		return Session{}, &Error{Action: "read", Key: "session", Err: ErrNotFound}
	}
	out := Session{Document: doc}
	if d.ExpiresAt != 0 {
		out.ExpiresAt = time.UnixMilli(d.ExpiresAt)
	}
	return out, nil
}

// PutSession keeps a session document, a JSON object, for a bearer of 1 to
// 1024 bytes of UTF-8. Its expiry is absolute; the zero time never comes.
func (s *Store) PutSession(ctx context.Context, bearer string, document []byte, expires time.Time) (Result, error) {
	if bearer == "" || len(bearer) > 1024 || !utf8.ValidString(bearer) {
		return Result{}, &Error{Action: "put", Key: "session", Err: ErrInvalid, Detail: "the bearer is not 1 to 1024 bytes of UTF-8"}
	}
	if err := ValidateObject(document, "session"); err != nil {
		return Result{}, Annotate(err, "put", "session")
	}
	op := Op{Kind: OpPut, Key: SessionKey(SessionName(bearer)), Data: EncodeSession(bearer, document)}
	if !expires.IsZero() {
		op.ExpiresAt = expires.UnixMilli()
		if op.ExpiresAt <= s.now().UnixMilli() {
			return Result{}, &Error{Action: "put", Key: "session", Err: ErrInvalid, Detail: "its expiry is in the past"}
		}
	}
	return s.apply(ctx, op)
}

// DeleteSession ends the session of a bearer.
func (s *Store) DeleteSession(ctx context.Context, bearer string) (Result, error) {
	return s.apply(ctx, Op{Kind: OpDelete, Key: SessionKey(SessionName(bearer))})
}

func validJSON(data []byte, what string) error {
	if err := rawjson.Valid(data); err != nil {
		return Errorf(ErrInvalid, "%s is not valid JSON: %v", what, err)
	}
	return nil
}
