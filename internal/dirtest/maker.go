package dirtest

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// A Maker makes random snapshots of what a directory can hold.
type Maker struct{ *rand.Rand }

func pick[T any](m Maker, of ...T) T { return of[m.IntN(len(of))] }

// word is a name without a slash that a file can have.
func (m Maker) word() string {
	const letters = "ab C-_.~:*[]{}\"'\\<>&é測🔑\u2028\u00a0"
	all := []rune(letters)
	var b strings.Builder
	for range 1 + m.IntN(8) {
		b.WriteRune(all[m.IntN(len(all))])
	}
	return fmt.Sprintf("%s%d", b.String(), m.IntN(1000))
}

func (m Maker) value(depth int) string {
	switch n := m.IntN(9); {
	case n == 0 && depth > 0:
		return m.object(depth - 1)
	case n == 1 && depth > 0:
		return "[" + m.value(depth-1) + pick(m, ",", " , ") + m.value(depth-1) + "]"
	case n < 5:
		return pick(m, "0", "1.0", "-0", "1e400", "9007199254740993", "123456789012345678901234567890", "true", "null", "[]", "{ }", `"\ud800"`, `"\u003c\/"`)
	}
	return string(rawjson.Quote(m.word()))
}

func (m Maker) object(depth int, members ...string) string {
	for range m.IntN(4) {
		members = append(members, string(rawjson.Quote(m.word()))+pick(m, ":", " : ", ":\n")+m.value(depth))
	}
	m.Shuffle(len(members), func(i, k int) { members[i], members[k] = members[k], members[i] })
	return "{" + strings.Join(members, pick(m, ",", ", ", "\r\n,")) + "}"
}

// Snapshot makes one.
func (m Maker) Snapshot() *poolkeeper.Snapshot {
	snap := poolkeeper.NewSnapshot()
	var paths []string
	for t := range m.IntN(4) {
		typ := pick(m, fmt.Sprintf("type-%d", t), m.word(), "", "claude-kiro-oauth")
		if snap.Pools[typ] != nil {
			continue
		}
		var defs [][]byte
		for range m.IntN(6) {
			var members []string
			if m.IntN(4) > 0 {
				members = append(members, `"uuid":`+string(rawjson.Quote(m.word())))
			}
			for _, f := range poolkeeper.Fields() {
				if m.IntN(4) == 0 {
					members = append(members, `"`+f.String()+`":`+m.value(0))
				}
			}
			if m.IntN(2) == 0 {
				p := "configs/tok/" + m.word() + "/" + m.word() + ".json"
				if len(paths) > 0 && m.IntN(3) == 0 {
					p = paths[m.IntN(len(paths))]
				}
				paths = append(paths, p)
				members = append(members, `"X_TOKEN_FILE_PATH":`+string(rawjson.Quote(pick(m, "./", "", "configs/../")+p)))
			}
			defs = append(defs, []byte(m.object(2, members...)))
		}
		ids, _ := poolkeeper.AssignIDs(defs)
		pool := &poolkeeper.Pool{Type: typ}
		for i, id := range ids {
			p := poolkeeper.Provider{Ref: poolkeeper.Ref{Type: typ, ID: id}, Definition: defs[i]}
			for _, f := range poolkeeper.Fields() {
				if m.IntN(8) == 0 {
					p.State.Set(f, pick(m, poolkeeper.Absent, "1", `"x"`, "null", "{}"))
				}
			}
			pool.Providers = append(pool.Providers, p)
		}
		snap.AddPool(pool)
	}
	owners := map[string]poolkeeper.Ref{}
	for _, typ := range snap.Types {
		for _, p := range snap.Pools[typ].Providers {
			for _, tp := range poolkeeper.TokenPaths(p.Definition) {
				if _, ok := owners[tp.Path]; !ok {
					owners[tp.Path] = p.Ref
					m.put(snap, poolkeeper.TokenKey(p.Ref), pick(m, "", "{", m.object(2)))
					m.put(snap, poolkeeper.TokenRefKey(tp.Path), string(poolkeeper.EncodeTokenOwner(p.Ref)))
				}
			}
		}
	}
	for range m.IntN(4) {
		m.put(snap, poolkeeper.FileKey(pick(m, "configs/", "configs/x/", "configs/x/y/")+m.word()), pick(m, "", "\x00\xff", m.word()))
	}
	for _, name := range []string{"plugins.json", "market.json", "token-store.json"} {
		if m.IntN(2) == 0 {
			m.put(snap, poolkeeper.DocumentKey(name), pick(m, "{", "", m.object(2)))
		}
	}
	for range m.IntN(3) {
		bearer := m.word()
		snap.Values[poolkeeper.SessionKey(poolkeeper.SessionName(bearer))] = poolkeeper.Document{
			Data: poolkeeper.EncodeSession(bearer, []byte(m.object(1, `"expiryTime":4102444800000`))), ExpiresAt: 4102444800000,
		}
	}
	if m.IntN(2) == 0 {
		m.put(snap, poolkeeper.ConfigKey, m.object(3))
	}
	if m.IntN(2) == 0 {
		m.put(snap, poolkeeper.PasswordKey, pick(m, "", " pw\n"))
	}
	return snap
}

func (m Maker) put(snap *poolkeeper.Snapshot, k poolkeeper.Key, data string) {
	snap.Values[k] = poolkeeper.Document{Data: []byte(data)}
}
