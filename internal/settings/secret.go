package settings

import (
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
)

// Redacted is what is printed in the place of a secret.
const Redacted = "****"

// A Secret is a text that prints as [Redacted] in every format, in JSON and in
// logs. Only Reveal gives it out. The zero Secret is empty.
type Secret struct {
	// A pointer, as fmt prints unexported fields of other structs without
	// asking their methods: then it prints an address.
	text *string
}

// NewSecret keeps a text.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{&text}
}

// Reveal returns the text, for its use and never for printing.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero reports whether there is no text.
func (s Secret) IsZero() bool { return s.text == nil }

// String is Redacted, or empty where there is no text.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return Redacted
}

// GoString is for %#v.
func (s Secret) GoString() string { return fmt.Sprintf("settings.Secret(%q)", s.String()) }

// Format keeps every verb of fmt from looking inside.
func (s Secret) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('#') {
		io.WriteString(f, s.GoString())
		return
	}
	io.WriteString(f, s.String())
}

// MarshalText is for JSON and the like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue is for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// RedactURL returns a URL without its credentials. What is no URL is redacted
// as a whole.
func RedactURL(raw string) string {
	if raw == "" {
		return ""
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok || !urlScheme.MatchString(scheme) {
		return Redacted
	}
	// By hand, as a URL that does not parse is printed in errors too: all in
	// front of the last @ may be a password with characters that should have
	// been encoded, and one is often written where the user name goes.
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = Redacted + rest[i:]
	}
	rest, _, _ = strings.Cut(rest, "#")
	if path, query, ok := strings.Cut(rest, "?"); ok {
		rest = path + "?" + redactQuery(query)
	}
	return scheme + "://" + rest
}

var urlScheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*$`)

// redactQuery keeps the parameters that cannot be credentials.
func redactQuery(query string) string {
	params := strings.Split(query, "&")
	for i, p := range params {
		name, _, _ := strings.Cut(p, "=")
		plain, err := url.QueryUnescape(name)
		if err != nil || secretParameter(plain) {
			params[i] = name + "=" + Redacted
		}
	}
	return strings.Join(params, "&")
}

// hasCredentials reports whether a URL has a user name or password in it.
func hasCredentials(raw string) bool {
	_, rest, _ := strings.Cut(raw, "://")
	return strings.Contains(rest, "@")
}

func secretParameter(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"pass", "pwd", "secret", "token", "key", "auth", "cred", "user"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
