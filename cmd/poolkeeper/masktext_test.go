package main

import (
	"encoding/base64"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// What secrets are written as. SECRET stands for the secret, NAME for its name.
var (
	// wordShapes take a secret of letters and digits, as URLs do.
	wordShapes = []string{
		"https://h/x?NAME=SECRET", "https://h/x?a=1&NAME=SECRET&b=2", "https://h:8443/x?sig=SECRET#x", "https://h/x?code=SECRET", "https://h/?SECRET",
		"https://h/x#NAME=SECRET", "https://h/x#SECRET", "https://h/x;NAME=SECRET?a=1", "https://h/NAME=SECRET", "https://h/NAME:SECRET/x",
		"https://hooks.example.com/services/T0/B0/SECRET", "https://h/api/webhooks/1/SECRET", "/v1/models?sig=SECRET", "h/x?a=1&code=SECRET",
		"https://h/x?model=m;NAME=SECRET", "https://h/x?model=m%26NAME%3DSECRET", "https://h/x?go=https%3A%2F%2Fu%3ASECRET%40h",
		"Bearer SECRET", "BEARER  SECRET", "NAME=a=b:SECRET", "a=b:sk-SECRET", "x|sk-SECRET", "a/sk-SECRET", "(sk-SECRET)", "my_sk-SECRET:x",
		"eyJSECRET.SECRET.x", "ghp_SECRET", "AIzaSECRET", "-----BEGIN X-----\nSECRET\n-----END X-----", "https://SECRET@h/x", "https://u@SECRET@h/x",
		"u:SECRET@h:1080", "tcp(u:SECRET@h:3306)/db", "u:SECRET@http://h", "curl -u u:SECRET@h", "redis://h/0?password=SECRET",
	}
	// anyShapes take one with any character in it, blanks and separators too.
	anyShapes = []string{
		"NAME=SECRET", "NAME: SECRET", "NAME : SECRET", "NAME\t=\tSECRET", "NAME=\"SECRET\"", "\"NAME\": \"SECRET\"", "'NAME':'SECRET'", "`NAME`=SECRET",
		`{\"NAME\":\"SECRET\"`, `{"a":1,"NAME":"SECRET","b":`, "x|NAME=SECRET", "NAME|SECRET", "a=b;NAME=SECRET;c=d", "a,NAME=SECRET", "NAME=>SECRET", "NAME -> SECRET",
		"<NAME>SECRET</NAME>", "NAME%3DSECRET", "NAME%3aSECRET", "NAME:SECRET", "NAME=SECRET", "--NAME SECRET", "run --NAME=SECRET", "NAME:\n  SECRET", "[NAME]: SECRET",
		"Authorization: Basic SECRET", "Authorization: Bearer SECRET", "authorization: Digest response=\"SECRET\"", "Cookie: a=SECRET; b=SECRET", "X-Api-Key: SECRET",
		"NAME=https://h/SECRET", "NAME=x?a=SECRET", "redis://:SECRET@h/0", "https://u:SECRET@h/x?a=1", "postgres://u:SECRET@h:1,i:2/db", "密码:SECRET",
	}
	secretNames = []string{
		"token", "key", "password", "access_token", "refreshToken", "api_key", "apiKey", "API-KEY", "x-api-key", "client_secret", "passwd", "pwd", "secret",
		"session_id", "sid", "cookie", "credential", "private.key", "OPENAI_API_KEY", "proxy_pass",
	}
	fillers = []string{
		"", "", "401", "failed", "GET", "https://h/v1", "10:30", "a=b", "x|y", "upstream said", "u@h.example", "(", "\"", "{", "error:", "\n", "é", "密", "http://h:1/?a", "[1]",
	}
)

// textWithSecret makes a text that has a secret in one of its shapes.
func textWithSecret(rng *rand.Rand) (text, secret string) {
	chars, shapes := "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", wordShapes
	if rng.IntN(2) == 0 {
		shapes, chars = anyShapes, chars+" ,;:|=&?#/'\"<>()[]{}\\%@é密\n"
	}
	var b strings.Builder
	for runes := []rune(chars); b.Len() < 16; {
		b.WriteRune(runes[rng.IntN(len(runes))])
	}
	secret = "Q" + b.String() + "Z" // with no blank at its ends
	pick := func(list []string) string { return list[rng.IntN(len(list))] }
	text = strings.NewReplacer("NAME", pick(secretNames), "SECRET", secret).Replace(pick(shapes))
	for range rng.IntN(3) {
		text = pick(fillers) + " " + text
	}
	for range rng.IntN(3) {
		text += " " + pick(fillers)
	}
	return text, secret
}

// shows reports whether a masked text has a piece of a secret that is long enough to be
// of use, and comes from nothing else in the text.
func shows(masked, text, secret string) bool {
	const piece = 5
	others := strings.ReplaceAll(text, secret, "\x00")
	for i := 0; i+piece <= len(secret); i++ {
		if p := secret[i : i+piece]; strings.Contains(masked, p) && !strings.Contains(others, p) {
			return true
		}
	}
	return false
}

// TestNoSecretInTexts puts a secret into texts in all the ways that are known, and
// looks for each piece of it.
func TestNoSecretInTexts(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 8_000 {
		text, secret := textWithSecret(rng)
		got := redactText(text)
		if shows(got, text, secret) {
			t.Fatalf("of %q\nis shown %q", text, got)
		}
		if again := redactText(got); again != got {
			t.Fatalf("%q\nis masked to   %q\nand then again %q", text, got, again)
		}
		doc := rawjson.AppendQuote([]byte(`{"lastErrorMessage":`), text)
		masked := mask(append(doc, '}'))
		if rawjson.Valid(masked) != nil || shows(string(masked), text, secret) {
			t.Fatalf("of %q\nis shown %s", text, masked)
		}
	}
}

func TestBasicIsMasked(t *testing.T) {
	word := base64.StdEncoding.EncodeToString([]byte("user:hunter2!"))
	if got := redactText("sent Basic " + word + " twice"); got != "sent Basic **** twice" {
		t.Error(got)
	}
	const prose = "the basic authentication failed"
	if got := redactText(prose); got != prose {
		t.Error(got)
	}
}

func TestNamesAreMasked(t *testing.T) {
	if got := shown("mine, token=hunter2"); got != "mine, token=****" {
		t.Error(got)
	}
}

// TestTextsStay: what has no secret is shown as it is.
func TestTextsStay(t *testing.T) {
	for _, text := range []string{
		"Request failed with status code 429", "402 Payment Required - quota exhausted", "Token refresh failed: 400 Bad Request", "10:30 at a@b.c",
		"https://auth.example.com:8443/oauth/token", "https://www.googleapis.com/auth/cloud-platform https://www.googleapis.com/auth/userinfo.email",
		"./configs/kiro/1769000000_kiro-auth-token/1769000000_kiro-auth-token.json", "redis://127.0.0.1:6379/0?db=1&protocol=3", "http://127.0.0.1:1089",
		"gemini-2.5-pro", "a basic plan for all", "OAuth: the account is suspended", "connect ECONNREFUSED 127.0.0.1:443", "你好，世界: 1",
		"task-force-of-the-day", "maxTokens is 4096", "https://h/v1/models?model=gemini-2.5-pro&alt=sse", "No available provider: all 3 are unhealthy",
	} {
		if got := redactText(text); got != text {
			t.Errorf("%q is shown as %q", text, got)
		}
	}
}

// FuzzRedactText: any text can be masked, and masking it twice is masking it once.
func FuzzRedactText(f *testing.F) {
	for _, s := range append(append(wordShapes, anyShapes...), fillers...) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		once := redactText(text)
		if !utf8.ValidString(once) {
			t.Fatalf("%q is masked to %q", text, once)
		}
		const secret = "Qhunter2hunter2Z"
		for _, shape := range []string{text + "\ntoken=" + secret, text + " https://h/?sig=" + url.QueryEscape(secret), text + " https://u:" + secret + "@h"} {
			if got := redactText(shape); shows(got, shape, secret) {
				t.Fatalf("of %q\nis shown %q", shape, got)
			}
		}
	})
}
