package main

import (
	"strings"
	"unicode"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// isSecret reports whether a member holds a secret: by its name, or as it holds
// headers of requests, each of which may be a credential under any name.
func isSecret(name string, value []byte) bool {
	if isSecretName(name) {
		return true
	}
	if !strings.Contains(strings.ToLower(name), "header") {
		return false
	}
	switch rawjson.KindOf(value) {
	case rawjson.KindObject, rawjson.KindArray, rawjson.KindString:
		return true
	}
	return false
}

var secretWords = []string{
	"key", "token", "secret", "passw", "pwd", "cookie", "base64", "cred", "auth", "bearer", "session",
	"clearance", "private", "webhook", "jwt", "cert", "signature", "verifier", "mnemonic", "assertion", "密码", "密钥", "令牌",
}

// secretParts are secret where they are a whole part of a name: proxy_pass is,
// bypass is not.
var secretParts = map[string]bool{
	"pass": true, "pin": true, "otp": true, "totp": true, "sid": true, "pat": true, "dsn": true, "salt": true, "nonce": true,
	"csrf": true, "xsrf": true, "sso": true, "seed": true,
}

// isSecretName reports whether a member of that name holds a secret. Paths do
// not: they say where one is.
func isSecretName(name string) bool {
	if poolkeeper.IsTokenPathField(name) || strings.HasSuffix(name, "_PATH") || strings.HasSuffix(name, "_URL") && !strings.Contains(name, "WEBHOOK") {
		return false
	}
	for part := range strings.FieldsFuncSeq(parted(name), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if secretParts[strings.ToLower(part)] {
			return true
		}
	}
	name = strings.ToLower(name)
	if name == "keyprefix" || name == "authmethod" {
		return false
	}
	for _, word := range secretWords {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// parted puts a space where a name in camel case begins another word.
func parted(name string) string {
	var b strings.Builder
	lower := false
	for _, r := range name {
		if lower && unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		lower = unicode.IsLower(r) || unicode.IsDigit(r)
		b.WriteRune(r)
	}
	return b.String()
}
