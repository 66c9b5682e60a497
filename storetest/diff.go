package storetest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper"
)

// Diff says in what two snapshots differ, a line for each difference, and
// nothing where they are the same to readers: the same types, pools and
// providers in the same order, the same bytes of definitions and values, the
// same effective runtime state, the same expiries and aliases. Revisions and
// the facts about a store that are its own are left out.
func Diff(a, b *poolkeeper.Snapshot) string {
	d := &differences{}
	d.meta(a.Meta, b.Meta)
	if !slices.Equal(a.Types, b.Types) {
		d.addf("types: %q, then %q", a.Types, b.Types)
	}
	if !maps.Equal(a.Aliases, b.Aliases) {
		d.addf("aliases: %v, then %v", a.Aliases, b.Aliases)
	}
	for _, typ := range union(a.Pools, b.Pools, strings.Compare) {
		d.pool(typ, a.Pools[typ], b.Pools[typ])
	}
	for _, key := range union(a.Values, b.Values, poolkeeper.CompareKeys) {
		x, inA := a.Values[key]
		y, inB := b.Values[key]
		switch {
		case inA != inB:
			d.addf("%s: %s, then %s", key, presence(inA), presence(inB))
		case !bytes.Equal(x.Data, y.Data):
			d.addf("%s: %s, then %s", key, excerpt(x.Data), excerpt(y.Data))
		case x.ExpiresAt != y.ExpiresAt:
			d.addf("%s: expires at %d, then %d", key, x.ExpiresAt, y.ExpiresAt)
		}
	}
	return d.String()
}

// differences collects lines; after many of them it only counts.
type differences struct {
	lines []string
	more  int
}

func (d *differences) addf(format string, args ...any) {
	if len(d.lines) == 20 {
		d.more++
		return
	}
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *differences) String() string {
	s := strings.Join(d.lines, "\n")
	if d.more > 0 {
		s += fmt.Sprintf("\nand %d more", d.more)
	}
	return s
}

// ownMeta are the facts that a store makes for itself.
var ownMeta = []string{"epoch", "schema", "minWriter", "writer", "importing"}

func (d *differences) meta(a, b map[string]string) {
	for _, name := range union(a, b, strings.Compare) {
		if x, y := a[name], b[name]; x != y && !slices.Contains(ownMeta, name) {
			d.addf("meta %q: %q, then %q", name, x, y)
		}
	}
}

func (d *differences) pool(typ string, a, b *poolkeeper.Pool) {
	if a == nil || b == nil {
		d.addf("pool %q: %s, then %s", typ, presence(a != nil), presence(b != nil))
		return
	}
	if x, y := ids(a), ids(b); !slices.Equal(x, y) {
		d.addf("pool %q: the providers %q, then %q", typ, x, y)
		return
	}
	for i := range a.Providers {
		x, y := &a.Providers[i], &b.Providers[i]
		if x.Ref != y.Ref {
			d.addf("provider %d of pool %q: ref %s, then %s", i, typ, x.Ref, y.Ref)
		}
		if !bytes.Equal(x.Definition, y.Definition) {
			d.addf("definition of %s: %s, then %s", x.Ref, excerpt(x.Definition), excerpt(y.Definition))
		}
		for _, f := range poolkeeper.Fields() {
			if v, w := x.Literal(f), y.Literal(f); v != w {
				d.addf("%s of %s: %q, then %q", f, x.Ref, v, w)
			}
		}
		if x.State.DecidedAt != y.State.DecidedAt {
			d.addf("time of the last decision on %s: %d, then %d", x.Ref, x.State.DecidedAt, y.State.DecidedAt)
		}
	}
}

func ids(p *poolkeeper.Pool) []string {
	ids := make([]string, len(p.Providers))
	for i := range p.Providers {
		ids[i] = p.Providers[i].ID
	}
	return ids
}

// union returns the keys of both maps in order.
func union[K comparable, V any](a, b map[K]V, compare func(K, K) int) []K {
	keys := slices.Collect(maps.Keys(a))
	for k := range b {
		if _, ok := a[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, compare)
	return keys
}

func presence(there bool) string {
	if there {
		return "there"
	}
	return "not there"
}

// excerpt quotes the beginning of what a test made up itself.
func excerpt(data []byte) string {
	const enough = 160
	if len(data) <= enough {
		return fmt.Sprintf("%q", data)
	}
	return fmt.Sprintf("%q… (%d bytes, %s)", data[:enough], len(data), poolkeeper.ETag(data))
}
