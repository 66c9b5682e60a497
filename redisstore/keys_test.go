package redisstore

import (
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"pgregory.net/rapid"
)

// names draws texts in which the characters that key names are made of are
// frequent.
func names(atLeast int) *rapid.Generator[string] {
	part := rapid.OneOf(rapid.SampledFrom([]string{"%", "{", "}", ":", "%25", "%7B", "%3A", "%3a", "~", "a", " ", "\n", "é", "pools", "state:"}), rapid.String())
	return rapid.Map(rapid.SliceOfN(part, atLeast, 6), func(parts []string) string { return strings.Join(parts, "") })
}

func drawKey(t *rapid.T, label string) poolkeeper.Key {
	switch rapid.IntRange(0, 5).Draw(t, label+" kind") {
	case 0:
		return poolkeeper.PoolKey(names(0).Draw(t, label+" type"))
	case 1:
		return poolkeeper.TokenKey(poolkeeper.Ref{Type: names(0).Draw(t, label+" type"), ID: names(1).Draw(t, label+" id")})
	case 2:
		name := rapid.OneOf(rapid.SampledFrom([]string{"plugins.json", "usage-cache.json", "plugins", "usage:cache"}), names(1)).Draw(t, label+" name")
		return poolkeeper.DocumentKey(name)
	case 3:
		return poolkeeper.SessionKey(poolkeeper.SessionName(names(0).Draw(t, label+" bearer")))
	default:
		return rapid.SampledFrom([]poolkeeper.Key{poolkeeper.ConfigKey, poolkeeper.PasswordKey}).Draw(t, label)
	}
}

func (k keyspace) nameOf(key poolkeeper.Key) string {
	if key.Kind == poolkeeper.KindPool {
		return k.pool(key.Type)
	}
	name, _ := k.value(key)
	return name
}

func TestKeyNames(t *testing.T) {
	k := keyspace{"aiclient:"}
	rapid.Check(t, func(t *rapid.T) {
		a := drawKey(t, "a")
		if a.Validate() != nil {
			t.Skip("no valid key")
		}
		name := k.nameOf(a)
		if got, ok := k.parse(name); !ok || got != a {
			t.Fatalf("%v is kept in %q, which is read as %v, %v", a, name, got, ok)
		}
		if strings.ContainsAny(name, "{}") {
			t.Fatalf("%q has braces", name)
		}
		if _, ok := (keyspace{"other:"}).parse(name); ok {
			t.Fatalf("%q is taken for a key of another prefix", name)
		}
		for _, sibling := range []string{k.state(name), k.order(name), k.ctl(name), k.lock(name), k.stage(name, "run", "pool")} {
			if redistest.Slot(sibling) != redistest.Slot(name) {
				t.Fatalf("%q is not in the slot of %q", sibling, name)
			}
			if got, ok := k.parse(sibling); ok {
				t.Fatalf("the helper %q is taken for %v", sibling, got)
			}
		}
		if b := drawKey(t, "b"); b != a && b.Validate() == nil && k.nameOf(b) == name {
			t.Fatalf("%v and %v are both kept in %q", a, b, name)
		}
	})
}

// What another program might have written is not taken for something that
// Poolkeeper would keep under another name.
func TestKeyNamesAreUnique(t *testing.T) {
	k := keyspace{"p:"}
	for _, name := range []string{"p:pools::", "p:pools:a:b", "p:pools:%3a", "p:pools:%41", "p:pools:{a}", "p:tokens:a:%3A", "p:tokens:a", "p:doc:%3A", "p:doc:plugins.json", "p:state:{p:pools:a}"} {
		if key, ok := k.parse(name); ok {
			t.Errorf("%q is read as %v", name, key)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		rest := rapid.OneOf(rapid.Just("pools:"), rapid.Just("tokens:"), rapid.Just("doc:"), rapid.Just("")).Draw(t, "kind") + names(0).Draw(t, "rest")
		key, ok := k.parse("p:" + rest)
		if !ok || key.Kind == poolkeeper.KindFile || key.Kind == poolkeeper.KindTokenRefs || key.Validate() != nil {
			return
		}
		if got := k.nameOf(key); got != "p:"+rest {
			t.Fatalf("%q is read as %v, which is kept in %q", "p:"+rest, key, got)
		}
	})
}

func TestGlobEscape(t *testing.T) {
	if got := globEscape(`a*b?c[d]e\`); got != `a\*b\?c\[d\]e\\` {
		t.Error(got)
	}
}
