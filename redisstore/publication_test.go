package redisstore

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

func nets(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&b, "%d:%s,", len(p), p)
	}
	return b.String()
}

func readPublication(text string) ([]poolkeeper.Change, error) {
	k := keyspace{"t:"}
	p, err := k.parsePublication(text)
	if err != nil {
		return nil, err
	}
	return k.changes(p)
}

func TestPublicationsAreRead(t *testing.T) {
	before, after := poolkeeper.Revision{Number: 1, Writer: "w", Seq: 4}, poolkeeper.Revision{Number: 2, Writer: "v", Seq: 1}
	pool := poolkeeper.Change{Key: poolkeeper.PoolKey("a:"), Before: before, After: after}
	value := func(key poolkeeper.Key) poolkeeper.Change {
		return poolkeeper.Change{Kind: poolkeeper.ChangeValue, Key: key, Before: before, After: after}
	}
	with := func(c poolkeeper.Change, change func(*poolkeeper.Change)) poolkeeper.Change {
		change(&c)
		return c
	}
	kind := func(k poolkeeper.ChangeKind) poolkeeper.Change {
		return with(pool, func(c *poolkeeper.Change) { c.Kind = k })
	}
	var used poolkeeper.State
	used.Set(poolkeeper.UsageCount, "6")
	used.DecidedAt = 7
	const poolName = "t:pools:a%3A"
	for _, c := range []struct {
		key, kind, body string
		want            []poolkeeper.Change
	}{
		{poolName, "state", "x:y:usageCount\x006\x00z:later\x00v\x00x:y:decidedAt\x007", []poolkeeper.Change{with(kind(poolkeeper.ChangeState), func(c *poolkeeper.Change) {
			c.States = []poolkeeper.ProviderState{{ID: "x:y", State: used}, {ID: "z"}}
		})}},
		{poolName, "provider", nets("put", "x", "", "{}"), []poolkeeper.Change{with(kind(poolkeeper.ChangePut), func(c *poolkeeper.Change) { c.ID, c.Definition = "x", []byte("{}") })}},
		{poolName, "provider", nets("set", "x", "", ""), []poolkeeper.Change{with(kind(poolkeeper.ChangePut), func(c *poolkeeper.Change) {
			c.ID, c.States = "x", []poolkeeper.ProviderState{{ID: "x", Whole: true}}
		})}},
		{poolName, "provider", nets("rename", "x", "y", "{}"), []poolkeeper.Change{with(kind(poolkeeper.ChangeRename), func(c *poolkeeper.Change) {
			c.ID, c.NewID, c.Definition = "x", "y", []byte("{}")
		})}},
		{poolName, "provider", nets("delete", "x", "", ""), []poolkeeper.Change{with(kind(poolkeeper.ChangeDelete), func(c *poolkeeper.Change) { c.ID = "x" })}},
		{poolName, "provider", nets("of a later version", "x", "", "{}"), []poolkeeper.Change{kind(poolkeeper.ChangePool)}},
		{poolName, "replace", "", []poolkeeper.Change{kind(poolkeeper.ChangePool)}},
		{poolName, "of a later version", "\xff", []poolkeeper.Change{kind(poolkeeper.ChangePool)}},
		{"t:pool-order", "types", "", []poolkeeper.Change{{Kind: poolkeeper.ChangeTypes, Key: poolkeeper.TypesKey, Before: before, After: after}}},
		{"t:pwd", "value", nets(""), []poolkeeper.Change{value(poolkeeper.PasswordKey)}},
		{"t:tokens:a%3A:x:y", "value", nets(""), []poolkeeper.Change{value(poolkeeper.TokenKey(poolkeeper.Ref{Type: "a:", ID: "x:y"}))}},
		{"t:usage:cache", "value", nets(""), []poolkeeper.Change{value(poolkeeper.DocumentKey("usage-cache.json"))}},
		{"t:files", "value", nets("a", "b,1:c"), []poolkeeper.Change{value(poolkeeper.FileKey("a")), value(poolkeeper.FileKey("b,1:c"))}},
		{"t:token-refs", "of a later version", "", []poolkeeper.Change{value(poolkeeper.Key{Kind: poolkeeper.KindTokenRefs})}},
		{"t:a-key-of-a-later-version", "value", nets(""), nil},
	} {
		text := "1" + nets("t:ctl:{"+c.key+"}", "1 w 4", "2 v 1", c.kind) + c.body
		got, err := readPublication(text)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q was read as %+v, %v; want %+v", text, got, err, c.want)
		}
	}
}

// What is no publication is an error, and ends nothing but the watch.
func FuzzPublication(f *testing.F) {
	header := "1" + nets("t:ctl:{t:pools:a}", "0", "1 w 1")
	f.Add(header + nets("state") + "a:usageCount\x001")
	f.Add(header + nets("provider") + nets("set", "a", "", "{}", "a:usageCount", "1"))
	f.Add("1" + nets("t:ctl:{t:files}", "1 w 1", "2 w 2", "value") + nets("a", "b"))
	f.Add("11:x,1:0")
	f.Fuzz(func(t *testing.T, text string) {
		changes, err := readPublication(text)
		if err == nil {
			for _, c := range changes {
				if c.Kind == "" || c.Key.Kind == "" {
					t.Errorf("%q was read as %+v", text, c)
				}
			}
		} else if poolkeeper.ClassOf(err).Err != poolkeeper.ErrUnavailable {
			t.Errorf("%q: %v", text, err)
		}
	})
}
