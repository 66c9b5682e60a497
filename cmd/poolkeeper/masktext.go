package main

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/poolkeeper/poolkeeper/internal/rawjson"
	"github.com/poolkeeper/poolkeeper/internal/settings"
)

var secretPrefixes = []string{"sk-", "eyj", "aiza", "ya29.", "ghp_", "gho_", "xai-", "maki_", "bearer ", "aoraaaa", "-----begin",
	"sk_", "rk_live", "github_pat_", "ghu_", "ghs_", "glpat-", "xox", "hf_", "gsk_", "pplx-", "nvapi-", "r8_", "1//0", "sso=",
}

// looksSecret reports whether a text has the form of a well-known credential,
// whatever it is called.
func looksSecret(text string) bool {
	lower := strings.ToLower(text)
	if len(text) < 12 {
		return false
	}
	for _, prefix := range secretPrefixes {
		if strings.HasPrefix(lower, prefix) {
			return true
		}
	}
	if kind, rest, ok := strings.Cut(lower, " "); ok && kind == "basic" && !strings.Contains(rest, " ") {
		return true
	}
	return isLongHex(text) || awsKey.MatchString(text)
}

var awsKey = regexp.MustCompile(`^A(KIA|SIA)[0-9A-Z]{16}$`)

// isLongHex reports whether a text is 32 or more hex digits and nothing else,
// as random keys and session bearers are.
func isLongHex(text string) bool {
	return len(text) >= 32 && strings.Trim(strings.ToLower(text), "0123456789abcdef") == ""
}

// redactText takes credentials out of a text that is none as a whole: those of
// URLs, with a scheme or without, of words in a message, and of JSON in a string.
func redactText(text string) string {
	if t := strings.TrimSpace(text); t != "" && (t[0] == '{' || t[0] == '[') && rawjson.Valid([]byte(t)) == nil {
		return string(mask([]byte(t)))
	}
	if strings.Contains(text, "://") {
		// All in front of the last @ may be a password, with any character in it.
		if whole := settings.RedactURL(text); whole != settings.Redacted || strings.Contains(text, "@") {
			return whole
		}
	}
	var b strings.Builder
	bearer := false // the word before was that
	for rest := text; rest != ""; {
		n := strings.IndexFunc(rest, isSeparator)
		switch n {
		case 0:
			_, n = utf8.DecodeRuneInString(rest)
			b.WriteString(rest[:n])
		case -1:
			n = len(rest)
			fallthrough
		default:
			word := rest[:n]
			if bearer {
				word = settings.Redacted
			}
			b.WriteString(redactWord(word))
			bearer = strings.EqualFold(word, "bearer")
		}
		rest = rest[n:]
	}
	return b.String()
}

// isSeparator reports whether a rune is between two words of a message.
func isSeparator(r rune) bool {
	return unicode.IsSpace(r) || strings.ContainsRune("\"'`,;()[]{}<>", r)
}

func redactWord(word string) string {
	if strings.Contains(word, "://") {
		return settings.RedactURL(word)
	}
	if looksSecret(word) {
		return settings.Redacted
	}
	// user:password@host, as a proxy may be written.
	if i := strings.LastIndexByte(word, '@'); i > 0 && strings.Contains(word[:i], ":") {
		return settings.Redacted + word[i:]
	}
	if i := strings.LastIndexAny(word, "=:"); i >= 0 && looksSecret(word[i+1:]) {
		return word[:i+1] + settings.Redacted
	}
	return word
}
