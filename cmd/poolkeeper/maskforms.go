package main

import (
	"encoding/base64"
	"regexp"
	"strings"

	"github.com/poolkeeper/poolkeeper/internal/settings"
)

// secretPrefixes are what well-known credentials begin with.
var secretPrefixes = []string{"sk-", "eyj", "aiza", "ya29.", "ghp_", "gho_", "xai-", "maki_", "aoraaaa",
	"sk_", "rk_live", "github_pat_", "ghu_", "ghs_", "glpat-", "xox", "hf_", "gsk_", "pplx-", "nvapi-", "r8_", "1//0", "sso=",
}

var (
	// knownForm finds them in a text, to the end of the word.
	knownForm = regexp.MustCompile(`(?i)(^|[^a-z0-9])((?:` + strings.Join(quotedForms(secretPrefixes), "|") + `)[^` + wordEnds + `]*)`)
	// awsKey, hexKey and botKey are known by what they consist of.
	awsKey = regexp.MustCompile(`A(?:KIA|SIA)[0-9A-Z]{16}`)
	hexKey = regexp.MustCompile(`[0-9A-Fa-f]{32,}`)
	botKey = regexp.MustCompile(`[0-9]{6,}:[A-Za-z0-9_-]{30,}`)
	// pemKey has no end that one could rely on.
	pemKey = regexp.MustCompile(`(?is)-----begin.*`)
	// bearer and basic are the ways of HTTP to send one.
	bearer = regexp.MustCompile(`(?i)\b(bearer[` + blanks + `]+)([^` + wordEnds + `]+)`)
	basic  = regexp.MustCompile(`(?i)\b(basic[` + blanks + `]+)([^` + wordEnds + `]+)`)
	// userInfo is user:password@ in front of a host, as a proxy may be written.
	userInfo = regexp.MustCompile(`[^\s"]*:[^\s"]*@`)
)

// wordEnds are between two words of a message, blanks those of them that show nothing;
// both as they stand in a class of a regular expression.
const (
	blanks   = `\s\x{00a0}\x{3000}`
	wordEnds = blanks + "\"'`,;()\\[\\]{}<>"
)

// minKnown is how long a word must be to be a credential by its first letters.
const minKnown = 12

func quotedForms(words []string) (out []string) {
	for _, w := range words {
		out = append(out, regexp.QuoteMeta(w))
	}
	return out
}

// looksSecret reports whether a text as a whole has the form of a well-known
// credential, whatever it is called.
func looksSecret(text string) bool {
	return len(text) >= minKnown && redactForms(text) == settings.Redacted
}

// redactForms takes out of a text what has the form of a credential.
func redactForms(text string) string {
	text = pemKey.ReplaceAllString(text, settings.Redacted)
	text = knownForm.ReplaceAllStringFunc(text, func(s string) string {
		m := knownForm.FindStringSubmatch(s)
		if len(m[2]) < minKnown {
			return s
		}
		return m[1] + settings.Redacted
	})
	text = bearer.ReplaceAllString(text, "${1}"+settings.Redacted)
	text = basic.ReplaceAllStringFunc(text, func(s string) string {
		m := basic.FindStringSubmatch(s)
		if m[2] != settings.Redacted && !isUserPassword(m[2]) {
			return s
		}
		return m[1] + settings.Redacted
	})
	for _, form := range []*regexp.Regexp{awsKey, hexKey, botKey} {
		text = form.ReplaceAllString(text, settings.Redacted)
	}
	return userInfo.ReplaceAllStringFunc(text, func(s string) string {
		// What is within a URL was looked at before.
		front, _, _ := strings.Cut(s, "://")
		if i := strings.LastIndexByte(front, '@'); i >= 0 && strings.Contains(front[:i], ":") {
			return settings.Redacted + s[i:]
		}
		return s
	})
}

// isUserPassword reports whether a word is that of HTTP for a user and a password.
func isUserPassword(word string) bool {
	word = strings.TrimRight(word, "=")
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if plain, err := enc.DecodeString(word); err == nil && strings.Contains(string(plain), ":") {
			return true
		}
	}
	return false
}
