package redisstore

import (
	"strings"

	"github.com/poolkeeper/poolkeeper"
)

// keyspace builds and reads the names of keys under one prefix. The braces
// around a whole key name in state, order, ctl, lock and stage keys are a hash
// tag: they put the helper into the slot of the key that it serves.
type keyspace struct{ prefix string }

// The names of keys that need no argument, after the prefix.
const (
	nameConfig    = "config"
	namePools     = "pools:"
	nameTokens    = "tokens:"
	nameTokenRefs = "token-refs"
	namePassword  = "pwd"
	nameSessions  = "sessions:"
	nameDoc       = "doc:"
	nameFiles     = "files"
	nameOrder     = "pool-order"
	nameTypes     = "pool-types"
	nameMeta      = "meta"
)

// Documents whose keys other programs expect under names of their own.
var documentNames = map[string]string{
	"plugins.json":     "plugins",
	"usage-cache.json": "usage:cache",
}

func (k keyspace) pool(typ string) string { return k.prefix + namePools + escapeType(typ) }
func (k keyspace) meta() string           { return k.prefix + nameMeta }
func (k keyspace) types() string          { return k.prefix + nameTypes }
func (k keyspace) typeOrder() string      { return k.prefix + nameOrder }
func (k keyspace) files() string          { return k.prefix + nameFiles }
func (k keyspace) tokenRefs() string      { return k.prefix + nameTokenRefs }

func (k keyspace) state(key string) string { return k.prefix + "state:{" + key + "}" }
func (k keyspace) order(key string) string { return k.prefix + "order:{" + key + "}" }
func (k keyspace) ctl(key string) string   { return k.prefix + "ctl:{" + key + "}" }
func (k keyspace) lock(key string) string  { return k.prefix + "lock:{" + key + "}" }
func (k keyspace) stage(key, run, part string) string {
	return k.prefix + "stage:{" + key + "}:" + run + ":" + part
}

// leftovers names the keys that a conversion in place has still to remove.
func (k keyspace) leftovers() string { return k.prefix + "leftovers:{" + k.meta() + "}" }

// recovered names the revisions that the keys of a store which was put in the place of
// another one have of that one.
func (k keyspace) recovered() string { return k.prefix + "recovered:{" + k.meta() + "}" }

// journals names who brings the ops of which journal.
func (k keyspace) journals() string { return k.prefix + "journals:{" + k.meta() + "}" }

// probe names what is written to see whether anything can be.
func (k keyspace) probe() string { return k.prefix + "probe:{" + k.meta() + "}" }

// value returns the key that holds a value, and the field in it where that is
// a hash.
func (k keyspace) value(key poolkeeper.Key) (name, field string) {
	switch key.Kind {
	case poolkeeper.KindConfig:
		return k.prefix + nameConfig, ""
	case poolkeeper.KindPassword:
		return k.prefix + namePassword, ""
	case poolkeeper.KindToken:
		return k.prefix + nameTokens + escapeType(key.Type) + ":" + escapeID(key.Name), ""
	case poolkeeper.KindSession:
		return k.prefix + nameSessions + key.Name, ""
	case poolkeeper.KindTokenRefs:
		return k.tokenRefs(), key.Name
	case poolkeeper.KindFile:
		return k.files(), key.Name
	}
	if name, ok := documentNames[key.Name]; ok {
		return k.prefix + name, ""
	}
	return k.prefix + nameDoc + escapeID(key.Name), ""
}

// parse finds the key of values that a Redis key holds, or the pool. It is the
// reverse of value and pool; helpers and strangers are not ok, nor is what
// reads like a key that has another name.
func (k keyspace) parse(name string) (key poolkeeper.Key, ok bool) {
	if key, ok = k.read(name); !ok {
		return key, false
	}
	if key.Kind == poolkeeper.KindPool {
		return key, k.pool(key.Type) == name
	}
	canonical, _ := k.value(key)
	return key, canonical == name
}

func (k keyspace) read(name string) (key poolkeeper.Key, ok bool) {
	s, ok := strings.CutPrefix(name, k.prefix)
	if !ok {
		return key, false
	}
	switch s {
	case nameConfig:
		return poolkeeper.ConfigKey, true
	case namePassword:
		return poolkeeper.PasswordKey, true
	case nameTokenRefs:
		return poolkeeper.Key{Kind: poolkeeper.KindTokenRefs}, true
	case nameFiles:
		return poolkeeper.Key{Kind: poolkeeper.KindFile}, true
	}
	for doc, n := range documentNames {
		if s == n {
			return poolkeeper.DocumentKey(doc), true
		}
	}
	if rest, ok := strings.CutPrefix(s, namePools); ok {
		typ, ok := unescape(rest)
		return poolkeeper.PoolKey(typ), ok
	}
	if rest, ok := strings.CutPrefix(s, nameTokens); ok {
		t, i, cut := strings.Cut(rest, ":")
		typ, ok1 := unescape(t)
		id, ok2 := unescape(i)
		return poolkeeper.TokenKey(poolkeeper.Ref{Type: typ, ID: id}), cut && ok1 && ok2
	}
	if rest, ok := strings.CutPrefix(s, nameSessions); ok {
		return poolkeeper.SessionKey(rest), true
	}
	if rest, ok := strings.CutPrefix(s, nameDoc); ok {
		doc, ok := unescape(rest)
		return poolkeeper.DocumentKey(doc), ok
	}
	return key, false
}

// globEscape quotes the prefix for MATCH.
func globEscape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(s)
}

var (
	typeEscaper = strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D", ":", "%3A")
	idEscaper   = strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D")
)

// escapeType keeps ":" out of a type, so that a token's key can be split at
// the first one, and braces out of what stands in a hash tag.
func escapeType(s string) string { return typeEscaper.Replace(s) }

func escapeID(s string) string { return idEscaper.Replace(s) }

// unescape reverses both. It takes just the escapes that they write, in upper
// case, so that two names are never one thing.
func unescape(s string) (string, bool) {
	if strings.ContainsAny(s, "{}") {
		return "", false
	}
	if !strings.Contains(s, "%") {
		return s, true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+3 > len(s) {
			return "", false
		}
		switch s[i : i+3] {
		case "%25":
			b.WriteByte('%')
		case "%7B":
			b.WriteByte('{')
		case "%7D":
			b.WriteByte('}')
		case "%3A":
			b.WriteByte(':')
		default:
			return "", false
		}
		i += 2
	}
	return b.String(), true
}
