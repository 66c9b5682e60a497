package main

import (
	"regexp"
	"strings"

	"github.com/poolkeeper/poolkeeper/internal/rawjson"
	"github.com/poolkeeper/poolkeeper/internal/settings"
)

// redactText takes credentials out of a text that is none as a whole. In a text one
// cannot tell where a secret ends, so rather too much of it is taken than too little:
//
//   - behind a secret name and what parts it from its value (password=, "token": ...)
//     everything to the end of the text; in a URL, to the end of that;
//   - between a scheme and the last @ of the text everything, as it may be a password
//     with any character in it;
//   - of a query all values but those of parameters that are known to be harmless;
//   - and what has the form of a credential, wherever it stands.
//
// JSON within a text is masked as a document is.
func redactText(text string) string {
	if looksSecret(text) {
		return settings.Redacted
	}
	head, doc, tail := innerJSON(text)
	head, open := redactPlain(head)
	if open || doc == "" {
		return head
	}
	tail, _ = redactPlain(tail)
	return head + string(mask([]byte(doc))) + tail
}

// innerJSON finds the JSON that a text ends with, but for white space.
func innerJSON(text string) (head, doc, tail string) {
	end := len(strings.TrimRight(text, " \t\r\n"))
	if end == 0 || text[end-1] != '}' && text[end-1] != ']' {
		return text, "", ""
	}
	const most = 8 // brackets that are tried as the first one
	for i, n := 0, 0; i < end && n < most; i++ {
		if text[i] != '{' && text[i] != '[' {
			continue
		}
		n++
		if rawjson.Valid([]byte(text[i:end])) == nil {
			return text[:i], text[i:end], text[end:]
		}
	}
	return text, "", ""
}

var (
	// label is a name and what parts it from its value: = : > | or a tab, as they are or
	// encoded, with quotes and blanks around them; or the blank behind a --flag.
	label = regexp.MustCompile(`((?:[\pL\pN_.\-]|%[0-24-9][0-9A-Fa-f])+)[\]\\"'` + "`" + blanks + `]*(?:[=:>|=:\t]|->|%3[AaDd])|(?:^|[` + blanks + `"'])--?([\pL\pN_.\-]+)[` + blanks + `]`)
	// link is a URL, or a path with a query.
	link = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.\-]*://` + noBlanks + `*|` + noBlanks + `*\?` + noBlanks + `*=` + noBlanks + `*`)
)

var urlStart = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.\-]*://`)

const noBlanks = "[^" + blanks + "\"<>`]"

// redactPlain masks a text without JSON. Open says that the rest of it was taken, as a
// secret begins there.
func redactPlain(text string) (plain string, open bool) {
	at := openSecret(text)
	head, rest := text[:at], text[at:]
	scheme := strings.Index(head, "://")
	switch last := strings.LastIndexByte(text, '@'); {
	case scheme >= 0 && last >= at: // what looks like a name may be within a password
		head = head[:scheme+3]
	case scheme >= 0 && last > scheme:
		head = head[:scheme+3] + settings.Redacted + head[last:]
	case rest != "":
		word := strings.LastIndexAny(head, " \t\r\n") + 1
		end := strings.IndexAny(rest, " \t\r\n")
		if end < 0 {
			end = len(rest)
		}
		if strings.Contains(head[word:], ":") && strings.Contains(rest[:end], "@") {
			head = head[:word]
		}
	}
	head = redactForms(head)
	var b strings.Builder
	pos := 0
	for _, l := range link.FindAllStringIndex(head, -1) {
		b.WriteString(head[pos:l[0]])
		redactLink(&b, head[l[0]:l[1]])
		pos = l[1]
	}
	b.WriteString(head[pos:])
	if rest == "" {
		return b.String(), false
	}
	return strings.TrimSuffix(b.String(), settings.Redacted) + settings.Redacted, true
}

// openSecret returns where a secret begins of which nobody knows where it ends: the
// value behind the first secret name, URLs left aside. It is the length of the text
// where there is none.
func openSecret(text string) int {
	links := link.FindAllStringIndex(text, -1)
	for _, l := range labels(text) {
		for len(links) > 0 && links[0][1] <= l.from {
			links = links[1:]
		}
		inURL := len(links) > 0 && links[0][0] <= l.from && l.to <= links[0][1]
		if inURL {
			path, _, _ := strings.Cut(text[links[0][0]:links[0][1]], "?")
			inURL = urlStart.MatchString(path) || l.from >= links[0][0]+len(path)
		}
		if !inURL {
			return l.to
		}
	}
	return len(text)
}

// A span is a secret name with what parts it from its value.
type span struct{ from, to int }

// labels finds the secret names of a text that have a value.
func labels(text string) (out []span) {
	for _, at := range label.FindAllStringSubmatchIndex(text, -1) {
		name := at[2:4]
		if at[2] < 0 {
			name = at[4:6]
		}
		if isSecretLabel(text[name[0]:name[1]]) && strings.TrimLeft(text[at[1]:], " \t\r\n\"'") != "" {
			out = append(out, span{name[0], at[1]})
		}
	}
	return out
}

// isSecretLabel is isSecretName for the words of a message, some of which speak of
// secrets and have none behind them.
func isSecretLabel(name string) bool {
	switch strings.ToLower(name) {
	case "unauthorized", "unauthenticated", "authentication_error", "oauth", "oauth2":
		return false
	}
	return isSecretName(name)
}

// redactLink writes a URL, or a path with a query, without its credentials.
func redactLink(b *strings.Builder, text string) {
	end := strings.IndexAny(text, "?#")
	if end < 0 {
		end = len(text)
	}
	path, rest := text[:end], text[end:]
	host := len(path)
	if scheme, after, ok := strings.Cut(path, "://"); ok {
		if i := strings.IndexByte(after, '/'); i >= 0 {
			host = len(scheme) + 3 + i
		}
	}
	if at := secretPath(path, host); at >= 0 {
		b.WriteString(path[:at])
		b.WriteString(settings.Redacted)
		return
	}
	b.WriteString(path)
	if rest != "" {
		_, rest, _ = strings.Cut(settings.RedactURL("x://"+rest), "://")
		b.WriteString(rest)
	}
}

// secretPath returns where a secret begins in a path, or -1: behind a secret name with
// its value, and behind what says that a webhook follows.
func secretPath(path string, host int) int {
	if found := labels(path[host:]); len(found) > 0 {
		return host + found[0].to
	}
	lower := strings.ToLower(path)
	if len(lower) != len(path) {
		return -1
	}
	if strings.Contains(lower[:host], "://hooks.") && len(path) > host+1 {
		return host + 1
	}
	if i := strings.Index(lower[host:], "webhook"); i >= 0 {
		if j := strings.IndexByte(path[host+i:], '/'); j >= 0 && len(path) > host+i+j+1 {
			return host + i + j + 1
		}
	}
	return -1
}
