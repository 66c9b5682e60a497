package configdir

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
	"github.com/poolkeeper/poolkeeper/internal/show"
)

// A comparer collects the differences between the layout a of a directory and
// the layout b of a store.
type comparer struct {
	Comparison
	a, b        *layout
	contentOnly bool
}

func (c *comparer) add(key poolkeeper.Key, path, where string, kind DifferenceKind) {
	what := key.String()
	if key.Kind == poolkeeper.KindProvider {
		what = poolkeeper.Ref{Type: key.Type, ID: key.Name}.String()
	}
	c.Differences = append(c.Differences, Difference{What: what, Path: path, Where: where, Kind: kind, Key: key})
}

func (c *comparer) types() {
	for _, t := range c.a.types {
		if _, ok := c.b.pools[t]; !ok {
			c.add(poolkeeper.PoolKey(t), "", "", Missing)
		} else {
			c.pool(t)
		}
	}
	for _, t := range c.b.types {
		if _, ok := c.a.pools[t]; !ok {
			c.add(poolkeeper.PoolKey(t), "", "", Extra)
		}
	}
	if !sameOrder(c.a.types, c.b.types) {
		c.add(poolkeeper.TypesKey, "", "order", Differs)
	}
}

// sameOrder reports whether what two lists have in common stands in the same
// order in both.
func sameOrder(a, b []string) bool {
	common := make(map[string]bool, len(a))
	for _, s := range a {
		common[s] = true
	}
	var inB []string
	for _, s := range b {
		if common[s] {
			inB = append(inB, s)
			common[s] = false
		}
	}
	i := 0
	for _, s := range a {
		if common[s] { // it is not in b
			continue
		}
		if i >= len(inB) || inB[i] != s {
			return false
		}
		i++
	}
	return true
}

func (c *comparer) pool(typ string) {
	a, b := c.a.pools[typ].Providers, c.b.pools[typ].Providers
	if len(a) == len(b) {
		same := true
		for i := range a {
			same = same && a[i].ID == b[i].ID
		}
		if same {
			for i := range a {
				c.provider(&a[i], &b[i])
			}
			return
		}
	}
	others := make(map[string]*poolkeeper.Provider, len(b))
	idsB := make([]string, len(b))
	for i := range b {
		others[b[i].ID], idsB[i] = &b[i], b[i].ID
	}
	idsA := make([]string, len(a))
	for i := range a {
		idsA[i] = a[i].ID
		if other := others[a[i].ID]; other == nil {
			c.add(poolkeeper.ProviderKey(a[i].Ref), "", "", Missing)
		} else {
			c.provider(&a[i], other)
			delete(others, a[i].ID)
		}
	}
	for _, id := range idsB {
		if others[id] != nil {
			c.add(poolkeeper.ProviderKey(others[id].Ref), "", "", Extra)
		}
	}
	if !sameOrder(idsA, idsB) {
		c.add(poolkeeper.PoolKey(typ), "", "order", Differs)
	}
}

func (c *comparer) provider(a, b *poolkeeper.Provider) {
	if where, differ := DiffDefinitions(a.Definition, b.Definition); differ {
		c.add(poolkeeper.ProviderKey(a.Ref), "", where, Differs)
	}
	if c.contentOnly {
		return
	}
	for _, f := range DiffRuntime(a, b) {
		c.add(poolkeeper.ProviderKey(a.Ref), "", pointer(f.String()), Differs)
	}
}

// sessions compares the live sessions; files compares token-store.json only
// where they are the same, since it would say the same thing again.
func (c *comparer) sessions() {
	key := func(bearer string) poolkeeper.Key { return poolkeeper.SessionKey(poolkeeper.SessionName(bearer)) }
	differ := false
	for _, bearer := range slices.Sorted(maps.Keys(c.a.sessions)) {
		other, ok := c.b.sessions[bearer]
		switch {
		case !ok:
			c.add(key(bearer), "", "", Missing)
		case !bytes.Equal(other.raw, c.a.sessions[bearer].raw):
			c.add(key(bearer), "", "", Differs)
		default:
			continue
		}
		differ = true
	}
	for _, bearer := range slices.Sorted(maps.Keys(c.b.sessions)) {
		if _, ok := c.a.sessions[bearer]; !ok {
			c.add(key(bearer), "", "", Extra)
			differ = true
		}
	}
	if differ {
		delete(c.a.files, Name+"/"+TokenStore)
		delete(c.b.files, Name+"/"+TokenStore)
	}
}

func (c *comparer) files() {
	before := len(c.Differences)
	for p, a := range c.a.files {
		b, ok := c.b.files[p]
		switch {
		case !ok:
			c.add(a.Key, p, "", Missing)
		case !bytes.Equal(a.Data, b.Data):
			key := a.Key
			if b.Key.Kind == poolkeeper.KindToken {
				key = b.Key
			}
			c.add(key, p, bytesDiff(key.Kind, a.Data, b.Data), Differs)
		}
	}
	for p, b := range c.b.files {
		if _, ok := c.a.files[p]; !ok {
			c.add(b.Key, p, "", Extra)
		}
	}
	slices.SortFunc(c.Differences[before:], func(a, b Difference) int { return cmp.Compare(a.Path, b.Path) })
}

// bytesDiff says where two files differ: by a JSON Pointer where both have
// JSON that does, else by the offset. Nothing more than the first name is said
// of a document, since keys and bearers are names in some of them, and nothing
// of files, which may hold anything.
func bytesDiff(kind poolkeeper.KeyKind, a, b []byte) string {
	switch kind {
	case poolkeeper.KindConfig, poolkeeper.KindToken, poolkeeper.KindDocument:
		if rawjson.Valid(a) != nil || rawjson.Valid(b) != nil {
			break
		}
		where, offset := rawjson.DiffTokens(a, b)
		if offset < 0 || where == "" {
			break
		}
		if kind == poolkeeper.KindDocument {
			first, _, more := strings.Cut(where[1:], "/")
			if where = "/" + first; more {
				where += "/…"
			}
		}
		return clipPointer(where)
	case poolkeeper.KindPassword:
		return ""
	}
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return fmt.Sprintf("byte %d", n)
}

// clipPointer prints a JSON Pointer; that of the whole document is nothing.
func clipPointer(p string) string {
	if p == "" {
		return ""
	}
	return show.Clip(show.Name(p))
}
