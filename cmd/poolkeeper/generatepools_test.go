package main

import (
	"slices"
	"strings"
)

// pools makes provider_pools.json, counts its providers, and plans their
// tokens.
func (m maker) pools(s *source, plan *tokenPlan) []byte {
	var members, seen []string
	types := 2 + m.IntN(5)
	for len(seen) < types {
		typ := pick(m, "claude-kiro-oauth", "gemini-cli-oauth", "", "42", m.word(), m.word())
		if slices.Contains(seen, typ) {
			continue
		}
		seen = append(seen, typ)
		var providers, ids []string
		n := m.IntN(7)
		if len(seen) == 1 {
			n++ // one at least, to be edited
		}
		for range n {
			providers = append(providers, m.provider(plan, &ids))
		}
		s.providers += n
		members = append(members, m.quote(typ), m.array(1, providers...))
	}
	doc := m.object(0, members...)
	if !m.app {
		doc += "\n"
	}
	return []byte(doc)
}

// provider makes a definition. ids are those that the pool has already.
func (m maker) provider(plan *tokenPlan, ids *[]string) string {
	members := [][2]string{{`"customName"`, m.quote("name of " + m.word())}, {`"X_API_KEY"`, m.quote(m.secret())}}
	add := func(name, value string) { members = append(members, [2]string{m.quote(name), value}) }
	switch n := m.IntN(12); {
	case n == 0:
		add("uuid", pick(m, "null", `""`, "17", "{}", `"~mark"`))
	case n == 1:
	case n == 2 && len(*ids) > 0:
		add("uuid", m.quote((*ids)[0]))
	default:
		id := pick(m, m.uuid(), m.uuid(), strings.ToUpper(m.uuid()), m.word())
		*ids = append(*ids, id)
		add("uuid", m.quote(id))
	}
	runtime := map[string]func() string{
		"usageCount":            func() string { return pick(m, m.number(), m.number(), `"12"`, "null", "3.0") },
		"errorCount":            func() string { return pick(m, "0", "3", m.number()) },
		"isHealthy":             func() string { return pick(m, "true", "false", "1") },
		"lastUsed":              func() string { return pick(m, `"2026-05-30T08:15:42.317Z"`, "null", "1780128000123") },
		"needsRefresh":          func() string { return pick(m, "false", "true", `"false"`) },
		"scheduledRecoveryTime": func() string { return pick(m, "null", `"2026-06-01T00:00:00.000Z"`) },
		"_lastSelectionSeq":     func() string { return m.number() },
	}
	// In a fixed order, so that a seed says everything.
	for _, name := range []string{"usageCount", "errorCount", "isHealthy", "lastUsed", "needsRefresh", "scheduledRecoveryTime", "_lastSelectionSeq"} {
		if m.IntN(3) > 0 {
			add(name, runtime[name]())
		}
	}
	if m.IntN(3) > 0 {
		add(pick(m, "KIRO_OAUTH_CREDS_FILE_PATH", "SOME_TOKEN_FILE_PATH"), m.quote(plan.path()))
	}
	for range m.IntN(4) {
		add(m.word(), m.value(3))
	}
	m.Shuffle(len(members), func(i, k int) { members[i], members[k] = members[k], members[i] })
	var flat []string
	for _, pair := range members {
		flat = append(flat, pair[:]...)
	}
	return m.object(2, flat...)
}
