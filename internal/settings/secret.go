package settings

import (
	"fmt"
	"io"
	"log/slog"
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

// harmless are the parameters of a query that are shown: all others may be credentials.
var harmless = map[string]bool{
	"db": true, "protocol": true, "master": true, "mastername": true, "master_set": true, "addr": true, "client_cache": true,
	"max_retries": true, "dial_timeout": true, "read_timeout": true, "write_timeout": true, "conn_write_timeout": true, "timeout": true,
	"model": true, "version": true, "api-version": true, "alt": true, "beta": true, "stream": true, "format": true, "lang": true,
	"limit": true, "offset": true, "page": true, "region": true,
}

// plainValue is a value that can be no second parameter, and is too short for a key.
var plainValue = regexp.MustCompile(`^[A-Za-z0-9._,-]{0,31}$`)

// redactQuery keeps the parameters that cannot be credentials.
func redactQuery(query string) string {
	params := strings.Split(query, "&")
	for i, p := range params {
		name, value, ok := strings.Cut(p, "=")
		switch {
		case !ok && p != "":
			params[i] = Redacted // a credential as it is
		case ok && !(harmless[strings.ToLower(name)] && plainValue.MatchString(value)):
			params[i] = parameterName(name) + "=" + Redacted
		}
	}
	return strings.Join(params, "&")
}

// parameterName keeps the name of a parameter, where that looks like one.
func parameterName(name string) string {
	if !plainName.MatchString(name) {
		return Redacted
	}
	return name
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9._%\[\]-]{1,24}$`)

// hasCredentials reports whether a URL has a user name or password in it.
func hasCredentials(raw string) bool {
	_, rest, _ := strings.Cut(raw, "://")
	return strings.Contains(rest, "@")
}
