package configdir

import (
	"bytes"
	"unicode/utf8"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
	"github.com/poolkeeper/poolkeeper/internal/show"
)

// A checker warns of what is odd in definitions.
type checker struct {
	report *Report
	// serial counts objects; seen says in which one a key was last met.
	serial int
	seen   map[string]int
}

func newChecker(report *Report) *checker {
	return &checker{report: report, seen: map[string]int{}}
}

// definition warns of what is odd in one, and counts its fields for the path of a
// token.
func (c *checker) definition(typ string, i int, def []byte) (paths int) {
	if !utf8.Valid(def) {
		c.report.note(poolsFile, place(typ, i, ""), CodeUTF8, "has bytes that are no UTF-8; they are kept")
	}
	c.members(def, func(name string) {
		c.report.note(poolsFile, place(typ, i, ""), CodeDuplicateKey, "the key %s stands twice; the last one counts", show.Clip(show.Name(name)))
	}, func(name, value []byte) {
		if rawjson.DuplicateKey(value) >= 0 {
			c.report.note(poolsFile, place(typ, i, string(name)), CodeDuplicateKey, "a key stands twice in an object in it; the last one counts")
		}
		if poolkeeper.IsTokenPathField(string(name)) {
			paths++
		}
		c.runtime(typ, i, string(name), value)
	})
	return paths
}

// members calls each for the members of an object, and twice for the keys that
// stand there a second time.
func (c *checker) members(obj []byte, twice func(name string), each func(name, value []byte)) {
	c.serial++
	// It was parsed before.
	_ = rawjson.Object(obj, func(key, value []byte) error {
		name := key[1 : len(key)-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			if s, ok := rawjson.Unquote(key); ok {
				name = []byte(s)
			}
		}
		// The look-up does not copy the key, and nearly all keys recur.
		if last := c.seen[string(name)]; last == c.serial {
			twice(string(name))
		} else {
			c.seen[string(name)] = c.serial
		}
		each(name, value)
		return nil
	})
}

func (c *checker) runtime(typ string, i int, name string, value []byte) {
	f, ok := poolkeeper.FieldNamed(name)
	if !ok {
		return
	}
	switch f {
	case poolkeeper.UsageCount, poolkeeper.ErrorCount, poolkeeper.RefreshCount:
		if n, exact := rawjson.ParseCount(value); !exact || n < 0 {
			c.report.note(poolsFile, place(typ, i, name), CodeCounter, "is not a whole number from 0 up; it is kept, and counts as %d", n)
		}
	case poolkeeper.LastUsed, poolkeeper.LastErrorTime, poolkeeper.LastHealthCheckTime, poolkeeper.ScheduledRecoveryTime, poolkeeper.LastRefreshTime:
		if s := string(value); s == "null" || s == `""` {
			return
		}
		if _, ok := rawjson.ParseTimeMillis(value); !ok {
			c.report.note(poolsFile, place(typ, i, name), CodeTime, "is not a time; it is kept")
		}
	}
}

// pool makes a pool of the snapshot, and says which ids are derived.
func (c *checker) pool(p typedPool) *poolkeeper.Pool {
	ids, derived := poolkeeper.AssignIDs(p.definitions)
	out := &poolkeeper.Pool{Type: p.typ, Providers: make([]poolkeeper.Provider, len(ids))}
	for i, def := range p.definitions {
		out.Providers[i] = poolkeeper.Provider{Ref: poolkeeper.Ref{Type: p.typ, ID: ids[i]}, Definition: def}
		if len(def) > poolkeeper.MaxDefinition {
			splitState(&out.Providers[i])
		}
		if !derived[i] {
			continue
		}
		if uuid, ok := poolkeeper.UsableUUID(def); ok {
			c.report.note(poolsFile, place(p.typ, i, "uuid"), CodeUUIDDuplicate, "the uuid %s stands twice in the pool; this provider is addressed as %s", show.Clip(show.Name(uuid)), ids[i])
		} else {
			c.report.note(poolsFile, place(p.typ, i, "uuid"), CodeUUIDUnusable, "no usable uuid; the provider is addressed as %s", ids[i])
		}
	}
	return out
}

// splitState moves the runtime fields of a definition, which is too large with
// them, into the state that lies over it.
func splitState(p *poolkeeper.Provider) {
	literals := poolkeeper.LiteralsOf(p.Definition)
	for _, f := range poolkeeper.Fields() {
		if literals[f] != poolkeeper.Absent {
			p.State.Set(f, literals[f])
		}
	}
	p.Definition = withoutRuntime(p.Definition)
}
