package main

import (
	"fmt"
	"math/rand/v2"
	"path"
	"strconv"
	"strings"
	"testing"
)

// A maker makes random directories. In the application's style documents are
// what JSON.stringify(x, null, 2) writes; else they have any legal form.
type maker struct {
	*rand.Rand
	app bool
}

func pick[T any](m maker, of ...T) T { return of[m.IntN(len(of))] }

// word is a name that a file can have, and that is unlikely to come twice.
func (m maker) word() string {
	letters := []rune("abcXYZ 01-_.~:*?[]{}()\"'\\<>&%#+=,;é測密🔑ß\u2028\u00a0")
	var b strings.Builder
	for range 1 + m.IntN(10) {
		b.WriteRune(pick(m, letters...))
	}
	return b.String() + strconv.Itoa(m.IntN(1_000_000))
}

// secret is a value of a kind that must never be printed.
func (m maker) secret() string { return fmt.Sprintf("FAKE-%016x", m.Uint64()) }

func (m maker) uuid() string {
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", m.Uint32(), m.IntN(1<<16), m.IntN(1<<12), m.IntN(1<<12), m.Uint64()>>16)
}

// quote writes a string as a literal.
func (m maker) quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r < 0x20 || !m.app && r < 0x10000 && m.IntN(12) == 0:
			fmt.Fprintf(&b, pick(m, `\u%04x`), r)
		case !m.app && r == '/' && m.IntN(2) == 0:
			b.WriteString(`\/`)
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + `"`
}

func (m maker) number() string {
	if m.app {
		return pick(m, "0", "1", "-1", "3.5", "1e+21", "9007199254740991", "1.5e-7", strconv.Itoa(m.IntN(1_000_000)))
	}
	return pick(m, "0", "-0", "1.0", "1E400", "5e-324", "9007199254740993", "123456789012345678901234567890", "-1.50", strconv.Itoa(m.IntN(1_000_000)))
}

// value is any JSON value at a depth of the document.
func (m maker) value(depth int) string {
	switch n := m.IntN(10); {
	case n < 2 && depth < 4:
		var members []string
		for range m.IntN(4) {
			members = append(members, m.quote(m.word()), m.value(depth+1))
		}
		return m.object(depth, members...)
	case n == 2 && depth < 4:
		var items []string
		for range m.IntN(4) {
			items = append(items, m.value(depth+1))
		}
		return m.array(depth, items...)
	case n < 5:
		return m.number()
	case n < 7:
		return pick(m, "true", "false", "null")
	}
	return m.quote(m.word())
}

// object joins names and values, which were made for the depth below.
func (m maker) object(depth int, members ...string) string {
	var items []string
	for i := 0; i < len(members); i += 2 {
		colon := ": "
		if !m.app {
			colon = pick(m, ":", " :", ": ", "\t:\n")
		}
		items = append(items, members[i]+colon+members[i+1])
	}
	return m.join("{", "}", depth, items)
}

func (m maker) array(depth int, items ...string) string { return m.join("[", "]", depth, items) }

func (m maker) join(open, end string, depth int, items []string) string {
	if m.app && len(items) == 0 {
		return open + end
	}
	if m.app {
		line := "\n" + strings.Repeat("  ", depth)
		return open + line + "  " + strings.Join(items, ","+line+"  ") + line + end
	}
	gap := pick(m, "", " ", "\r\n", "\n\t")
	return open + gap + strings.Join(items, gap+","+pick(m, "", " ", "\n")) + gap + end
}

// A tokenPlan is what the token files of a directory will be.
type tokenPlan struct {
	m     maker
	files map[string][]byte
	paths []string        // that a provider may share
	owned map[string]bool // that some provider names first
}

// path is a file for the token of one provider, and the text that names it:
// a new one, one that others have, or one that is not there.
func (p *tokenPlan) path() string {
	m := p.m
	clean := path.Join("configs", pick(m, "kiro", "gemini", m.word()), m.word()+".json")
	if m.IntN(8) == 0 {
		clean = "creds-" + m.word() + ".json" // beside configs/
	}
	switch n := m.IntN(6); {
	case n == 0 && len(p.paths) > 0:
		clean = pick(m, p.paths...)
	case n == 1:
		return clean // missing
	default:
		p.files[clean] = p.token()
		p.paths = append(p.paths, clean)
	}
	p.owned[clean] = true
	if m.app {
		return pick(m, "./", "") + clean
	}
	return pick(m, "./", "", "./configs/../", ".//") + clean
}

func (p *tokenPlan) token() []byte {
	m := p.m
	switch m.IntN(12) {
	case 0:
		return nil
	case 1:
		return []byte("\x00\xff no JSON " + m.secret())
	}
	return []byte(m.object(0, `"accessToken"`, m.quote(m.secret()), `"refreshToken"`, m.quote(m.secret()),
		`"expiresAt"`, pick(m, `"2031-01-01T00:00:00Z"`, "1893456000000", "null"), m.quote(m.word()), m.value(1)) + pick(m, "", "\n"))
}

// generated makes a directory of its own kind for each number.
func generated(t *testing.T, seed uint64, number int) *source {
	t.Helper()
	m := maker{rand.New(rand.NewPCG(seed, uint64(number))), number%2 == 0}
	s := &source{name: fmt.Sprintf("generated-%d", number), root: t.TempDir(), files: map[string]string{}}
	plan := &tokenPlan{m, map[string][]byte{}, nil, map[string]bool{}}
	files := plan.files
	files["configs/provider_pools.json"] = m.pools(s, plan)
	s.tokens = len(plan.owned)
	if s.config = number%4 != 3; s.config {
		files["configs/config.json"] = []byte(m.object(0, `"REQUIRED_API_KEY"`, m.quote(m.secret()), `"MAX_ERROR_COUNT"`, "7", m.quote(m.word()), m.value(1)))
	}
	if m.IntN(3) > 0 {
		files["configs/pwd"] = []byte(pick(m, "", " ") + m.secret() + pick(m, "", "\n", "\r\n"))
	}
	files["configs/token-store.json"] = m.tokenStore()
	for _, name := range []string{"plugins.json", "usage-cache.json", "custom_models.json", "market.json"} {
		if m.IntN(2) == 0 {
			files["configs/"+name] = []byte(pick(m, m.value(0), m.value(0), "{ broken", ""))
		}
	}
	for range 1 + m.IntN(4) {
		files[path.Join("configs", pick(m, "", "deep/er", m.word()), m.word())] = []byte(pick(m, "", "\x00\xfe", m.word(), m.secret()))
	}
	for range m.IntN(3) {
		name := path.Join("configs", pick(m, m.word()+".tmp", m.word()+".lock", "temp/"+m.word()))
		files[name] = []byte(m.word())
		s.transient = append(s.transient, name)
	}
	for name, data := range files {
		s.files[name] = sum(data)
	}
	writeFiles(t, s.root, files)
	return s
}

func (m maker) tokenStore() []byte {
	var sessions []string
	for range m.IntN(4) {
		bearer := pick(m, m.word(), fmt.Sprintf("%016x%016x%016x%016x", m.Uint64(), m.Uint64(), m.Uint64(), m.Uint64()))
		sessions = append(sessions, m.quote(bearer), m.object(2, `"username"`, m.quote(m.word()),
			`"expiryTime"`, pick(m, "4102444800000", "1700000000000", "null", `"4102444800000"`)))
	}
	return []byte(m.object(0, `"tokens"`, m.object(1, sessions...), m.quote(m.word()), m.value(1)))
}
