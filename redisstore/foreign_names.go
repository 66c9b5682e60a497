package redisstore

import (
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/show"
	"github.com/redis/rueidis"
)

// A foreignKind says what a key of a foreign layout is for.
type foreignKind int

const (
	kindUnknown foreignKind = iota
	kindConfig
	kindPassword
	kindDocument
	kindTypes
	kindPool
	kindToken
	kindSession
	kindCounter
	kindLock
	kindIndex
	kindRobin
)

// A foreignKey is one key of a foreign store.
type foreignKey struct {
	name string // as Redis has it
	rest string // behind the prefix
	arg  string // behind that of the kind
	ttl  int64  // in milliseconds; below 0: none
	size int64  // of a string
	read int64  // when it was looked at, by the clock of Redis
}

// The names of a foreign layout that are not Poolkeeper's too.
const (
	nameCounters  = "counters:"
	nameTokenLock = "token-lock:"
	nameIndex     = "kiro:refresh-index:"
	nameRobin     = "kiro:round-robin-counter"
)

// kindOf sorts a key by its name.
func (k keyspace) kindOf(rest string) (kind foreignKind, arg string) {
	switch rest {
	case nameConfig:
		return kindConfig, ""
	case namePassword:
		return kindPassword, ""
	case nameTypes:
		return kindTypes, ""
	case nameRobin:
		return kindRobin, ""
	}
	for _, name := range documentNames {
		if rest == name {
			return kindDocument, ""
		}
	}
	for _, p := range []struct {
		begin string
		kind  foreignKind
	}{{namePools, kindPool}, {nameTokens, kindToken}, {nameSessions, kindSession}, {nameCounters, kindCounter}, {nameTokenLock, kindLock}, {nameIndex, kindIndex}} {
		if arg, ok := strings.CutPrefix(rest, p.begin); ok {
			return p.kind, arg
		}
	}
	return kindUnknown, ""
}

// isOwn reports whether a key is one that only Poolkeeper makes.
func (k keyspace) isOwn(name, rest string) bool {
	if name == k.tokenRefs() || name == k.typeOrder() || name == k.files() || name == k.leftovers() || name == k.journals() || strings.HasPrefix(rest, nameDoc) {
		return true
	}
	for _, helper := range []string{"state:{", "order:{", "ctl:{", "stage:{", "lock:{"} {
		if strings.HasPrefix(rest, helper+k.prefix) {
			return true
		}
	}
	return false
}

func (f *foreignReader) readMeta() error {
	meta, err := f.client.Do(f.ctx, f.client.B().Hgetall().Key(f.Store.meta()).Build()).AsStrMap()
	if err != nil {
		return f.named(err, nameMeta)
	}
	f.resume = meta[metaAdopting] != ""
	for name, v := range meta {
		switch name {
		case metaEpoch, metaSchema, metaMinWriter, metaImporting, metaAdopting:
		default:
			f.snap.Meta[name] = v
		}
	}
	return nil
}

// readNames lists the keys.
func (f *foreignReader) readNames() error {
	seen := map[string]bool{f.Store.meta(): true, f.lock(f.Store.meta()): true}
	var fail error
	err := f.scan(f.ctx, f.prefix, func(names []string) bool {
		for _, n := range names {
			if seen[n] {
				continue
			}
			seen[n] = true
			rest := strings.TrimPrefix(n, f.prefix)
			if f.isOwn(n, rest) {
				if !f.resume {
					fail = errNoMeta
					return false
				}
				f.own = append(f.own, n)
				continue
			}
			kind, arg := f.kindOf(rest)
			f.keys[kind] = append(f.keys[kind], &foreignKey{name: n, rest: rest, arg: arg, ttl: -1})
		}
		return true
	})
	for _, keys := range f.keys {
		slices.SortFunc(keys, func(a, b *foreignKey) int { return strings.Compare(a.name, b.name) })
	}
	if err != nil {
		return err
	}
	return fail
}

// isKnown refuses keys of which none is of the layout.
func (f *foreignReader) isKnown() error {
	for kind, keys := range f.keys {
		if kind != kindUnknown && len(keys) > 0 {
			return nil
		}
	}
	if len(f.snap.Meta) > 0 {
		return nil
	}
	return poolkeeper.Errorf(poolkeeper.ErrForeign, "none of the keys under the prefix %s is of a layout that is known", f.prefix).
		WithHint("check the key prefix")
}

var errNoMeta = poolkeeper.Errorf(poolkeeper.ErrDamaged, "the store was Poolkeeper's own, and what its meta hash had is gone: this is no foreign layout").
	WithHint("put the data of Redis back, or import the last export under another --key-prefix; see Lost in docs/operations.md")

// redisType is the type that a key of a kind has.
func (k foreignKind) redisType() string {
	switch k {
	case kindPool:
		return "hash"
	case kindTypes:
		return "set"
	case kindConfig, kindPassword, kindDocument, kindToken, kindSession, kindCounter:
		return "string"
	}
	return ""
}

// readHeads asks for type, size and time to live of what is going to be read.
func (f *foreignReader) readHeads() error {
	for kind := kindConfig; kind <= kindCounter; kind++ {
		var there []*foreignKey
		for part := range slices.Chunk(f.keys[kind], chunk) {
			const per = 3
			if err := f.alive(); err != nil {
				return err
			}
			now, err := f.client.Do(f.ctx, f.client.B().Time().Build()).AsIntSlice()
			if err != nil || len(now) != 2 {
				return readError(err)
			}
			cmds := make(rueidis.Commands, 0, per*len(part))
			for _, k := range part {
				cmds = append(cmds, f.client.B().Type().Key(k.name).Build(), f.client.B().Pttl().Key(k.name).Build(),
					f.client.B().Strlen().Key(k.name).Build())
			}
			rs := f.client.DoMulti(f.ctx, cmds...)
			for i, k := range part {
				typ, err := rs[per*i].ToString()
				if err != nil {
					return readError(err)
				}
				if typ == "none" { // it has expired
					continue
				}
				if want := kind.redisType(); typ != want {
					return refuseKey(poolkeeper.ErrInvalid, f.title(kind, k), "the key is a %s in Redis, and must be a %s", typ, want).
						WithHint("rename or remove that key, and run the import again")
				}
				if k.ttl, err = rs[per*i+1].AsInt64(); err != nil {
					return readError(err)
				}
				if kind.redisType() == "string" {
					if k.size, err = rs[per*i+2].AsInt64(); err != nil {
						return readError(err)
					}
				}
				k.read = now[0]*1000 + now[1]/1000
				there = append(there, k)
			}
		}
		f.keys[kind] = there
	}
	return nil
}

// title names a key for people: never by a bearer.
func (f *foreignReader) title(kind foreignKind, k *foreignKey) string {
	switch kind {
	case kindSession:
		return nameSessions + "…"
	case kindUnknown:
		return group(k.rest)
	}
	return show.Clip(show.Name(k.rest))
}

// group is what unknown keys have in common, without what may be a secret.
func group(rest string) string {
	first, _, more := strings.Cut(rest, ":")
	if len(first) > 24 || !more {
		if len(first) > 24 {
			first = "a long name"
		}
		return show.Clip(show.Name(first))
	}
	return show.Clip(show.Name(first)) + ":…"
}

// named names the key in an error of Redis.
func (f *foreignReader) named(err error, rest string) error {
	return poolkeeper.Annotate(readError(err), "read", rest)
}

// strings reads keys, some at a time. An error names the one that is too big.
func (f *foreignReader) strings(kind foreignKind, limit int, fn func(k *foreignKey, data []byte) error) error {
	keys := f.keys[kind]
	for len(keys) > 0 {
		n, size := 0, int64(0)
		for n < len(keys) && n < chunk && (n == 0 || size+keys[n].size <= restoreBytes) {
			if keys[n].size > int64(limit) {
				return refuseKey(poolkeeper.ErrTooLarge, f.title(kind, keys[n]), "%d bytes; the limit is %d", keys[n].size, limit)
			}
			size += keys[n].size
			n++
		}
		if err := f.alive(); err != nil {
			return err
		}
		cmds := make(rueidis.Commands, n)
		for i, k := range keys[:n] {
			cmds[i] = f.client.B().Get().Key(k.name).Build()
		}
		for i, r := range f.client.DoMulti(f.ctx, cmds...) {
			data, err := r.ToString()
			if isNil(err) { // it has expired
				continue
			}
			if err != nil {
				return f.named(err, f.title(kind, keys[i]))
			}
			f.values[keys[i].name] = []byte(data)
			if err := fn(keys[i], f.values[keys[i].name]); err != nil {
				return err
			}
		}
		keys = keys[n:]
	}
	return nil
}

// noteRest counts what is no part of the state.
func (f *foreignReader) noteRest() {
	for _, k := range []struct {
		kind foreignKind
		key  string
		what string
	}{
		{kindLock, nameTokenLock + "…", "locks of tokens"},
		{kindIndex, nameIndex + "…", "indexes of refresh tokens"},
		{kindRobin, nameRobin, "the counter of a rotation"},
	} {
		if n := len(f.keys[k.kind]); n > 0 {
			f.note(k.key, "", noteIgnored, "%s (%d): nothing to keep", k.what, n)
		}
	}
	unknown := map[string]int{}
	for _, k := range f.keys[kindUnknown] {
		unknown[f.title(kindUnknown, k)]++
	}
	for title, n := range unknown {
		f.note(title, "", noteUnknown, "of no known kind (%d): not taken, and left where they are", n)
	}
}
