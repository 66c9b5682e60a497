package redisstore

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
	"github.com/poolkeeper/poolkeeper/internal/show"
)

// A foreignPool is one pool as it is read.
type foreignPool struct {
	key    *foreignKey // nil where only the set of types has it
	fields []foreignField
	same   bool // it is what it will be: each definition as it is, under its id

	lists, numbers, bytes, uuids []string // places of what was odd
}

// A foreignField is one provider of it.
type foreignField struct {
	name string
	def  []byte
}

// stray is 1 for a provider whose field is not its uuid.
func (f foreignField) stray() int {
	if uuid, ok := poolkeeper.UsableUUID(f.def); ok && uuid == f.name {
		return 0
	}
	return 1
}

// readPools reads the pools of the hashes, and those that only the set of the
// types has: neither of the two is kept whole by every writer.
func (f *foreignReader) readPools() error {
	if err := f.readSet(); err != nil {
		return err
	}
	for _, k := range f.keys[kindPool] {
		if f.escaped(k) {
			if !f.resume {
				return refuseKey(poolkeeper.ErrInvalid, f.title(kindPool, k), "Poolkeeper writes another pool under that name").
					WithHint("rename one of the two pools, and run the import again")
			}
			f.own = append(f.own, k.name)
			continue
		}
		if err := poolkeeper.ValidateType(k.arg); err != nil {
			return poolkeeper.Annotate(err, "read", f.title(kindPool, k))
		}
		p := &foreignPool{key: k}
		f.pools[k.arg] = p
		if err := f.readPool(p); err != nil {
			return err
		}
	}
	for typ := range f.pools {
		f.types = append(f.types, typ)
	}
	slices.Sort(f.types)
	for _, typ := range f.types {
		f.addPool(typ, f.pools[typ])
	}
	if len(f.types) > 1 {
		f.note(nameTypes, "", noteOrder, "the layout keeps no order of the types: they are in that of their names")
	}
	slices.SortStableFunc(f.types, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return nil
}

// escaped reports whether a pool is what a conversion that was cut off has made
// of one whose type is written otherwise by Poolkeeper.
func (f *foreignReader) escaped(k *foreignKey) bool {
	typ, ok := unescape(k.arg)
	return ok && typ != k.arg && f.pool(typ) == k.name &&
		slices.ContainsFunc(f.keys[kindPool], func(other *foreignKey) bool { return other.arg == typ })
}

func (f *foreignReader) readSet() error {
	for range f.keys[kindTypes] {
		types, err := f.client.Do(f.ctx, f.client.B().Smembers().Key(f.Store.types()).Build()).AsStrSlice()
		if err != nil {
			return f.named(err, nameTypes)
		}
		for _, typ := range types {
			if err := poolkeeper.ValidateType(typ); err != nil {
				return poolkeeper.Annotate(err, "read", nameTypes)
			}
			f.pools[typ] = &foreignPool{}
		}
	}
	return nil
}

// readPool reads a pool in parts.
func (f *foreignReader) readPool(p *foreignPool) error {
	title := f.title(kindPool, p.key)
	defs := map[string][]byte{} // a field may come twice
	for cursor := uint64(0); ; {
		if err := f.alive(); err != nil {
			return err
		}
		e, err := f.client.Do(f.ctx, f.client.B().Hscan().Key(p.key.name).Cursor(cursor).Count(chunk).Build()).AsScanEntry()
		if err != nil {
			return f.named(err, title)
		}
		for i := 0; i+1 < len(e.Elements); i += 2 {
			name, def := e.Elements[i], []byte(e.Elements[i+1])
			if err := poolkeeper.ValidateDefinition(def); err != nil {
				return mendable(err, title+" "+fieldTitle(name), "correct that field of the hash or remove it (HSET, HDEL)")
			}
			defs[name] = def
		}
		if cursor = e.Cursor; cursor == 0 {
			break
		}
	}
	for name, def := range defs {
		p.fields = append(p.fields, foreignField{name, def})
	}
	// Of two with one uuid, the one in the field of it is addressed by it.
	slices.SortFunc(p.fields, func(a, b foreignField) int {
		return cmp.Or(cmp.Compare(a.stray(), b.stray()), cmp.Compare(a.name, b.name))
	})
	return nil
}

func fieldTitle(name string) string { return show.Clip(show.Name(name)) }

// addPool makes a pool of the snapshot.
func (f *foreignReader) addPool(typ string, p *foreignPool) {
	pool := &poolkeeper.Pool{Type: typ}
	f.snap.AddPool(pool)
	if p.key == nil {
		return
	}
	defs := make([][]byte, len(p.fields))
	p.same = p.key.name == f.pool(typ)
	for i, field := range p.fields {
		defs[i] = p.repair(field)
		p.same = p.same && bytes.Equal(defs[i], field.def)
	}
	ids, derived := poolkeeper.AssignIDs(defs)
	for i, field := range p.fields {
		ref := poolkeeper.Ref{Type: typ, ID: ids[i]}
		f.fields[ref] = field.name
		pool.Providers = append(pool.Providers, poolkeeper.Provider{Ref: ref, Definition: defs[i]})
		if ids[i] == field.name {
			continue
		}
		p.same = false
		where := fieldTitle(field.name)
		if uuid, ok := poolkeeper.UsableUUID(defs[i]); !derived[i] {
			f.note(p.key.rest, where, noteUUID, "the provider has another uuid than its field: it is addressed by the uuid, %s", fieldTitle(ids[i]))
		} else if ok {
			f.note(p.key.rest, where, noteUUID, "the uuid %s stands twice in the pool: this provider is addressed as %s", fieldTitle(uuid), ids[i])
		} else {
			f.note(p.key.rest, where, noteUUID, "no usable uuid: the provider is addressed as %s", ids[i])
		}
	}
	slices.SortFunc(pool.Providers, func(a, b poolkeeper.Provider) int { return cmp.Compare(a.ID, b.ID) })
	f.noteEach(p.key.rest, noteUUID, "the definition has no uuid: it got that of its field", p.uuids)
	f.noteEach(p.key.rest, noteList, "an empty object, as Lua writes an empty list: read as []", p.lists)
	f.noteEach(p.key.rest, noteNumber, "written as Lua writes numbers of more than 14 digits: what comes after those may be lost; kept as it is", p.numbers)
	f.noteEach(p.key.rest, noteUTF8, "bytes that are no UTF-8: kept as they are", p.bytes)
	if len(p.fields) > 1 {
		f.note(p.key.rest, "", noteOrder, "the layout keeps no order: the %d providers are in that of their ids", len(p.fields))
	}
}

// lists are the fields of a definition that hold a list.
var foreignLists = []string{"notSupportedModels", "supportedModels"}

// repair puts right what is known to be damage, and notes what is none that
// could be.
func (p *foreignPool) repair(field foreignField) []byte {
	def := field.def
	at := fieldTitle(field.name)
	if !utf8.Valid(def) {
		p.bytes = append(p.bytes, at)
	}
	var edits []rawjson.Edit
	for _, name := range foreignLists {
		if v, ok := rawjson.Get(def, name); ok && rawjson.KindOf(v) == rawjson.KindObject && string(rawjson.Compact(nil, v)) == "{}" {
			edits = append(edits, rawjson.Edit{Key: name, Value: []byte("[]")})
			p.lists = append(p.lists, at+"."+name)
		}
	}
	// A derived id, of a conversion that was cut off, is no uuid.
	if _, ok := poolkeeper.UsableUUID(def); !ok && !strings.HasPrefix(field.name, "~") && poolkeeper.ValidateID(field.name) == nil {
		edits = append(edits, rawjson.Edit{Key: "uuid", Value: rawjson.Quote(field.name)})
		p.uuids = append(p.uuids, at)
	}
	p.numbers = append(p.numbers, cutNumbers(def, at)...)
	if len(edits) > 0 {
		if repaired, err := rawjson.SetMany(def, edits); err == nil && len(repaired) <= poolkeeper.MaxDefinition {
			return repaired
		}
	}
	return def
}

// cutNumbers finds the numbers that only a printer of 14 digits writes so: with
// an exponent where JavaScript writes all digits.
func cutNumbers(v []byte, at string) (places []string) {
	// It was parsed before.
	switch rawjson.KindOf(v) {
	case rawjson.KindNumber:
		if isCut(bytes.TrimSpace(v)) {
			return []string{at}
		}
	case rawjson.KindObject:
		_ = rawjson.Object(v, func(key, value []byte) error {
			name, _ := rawjson.Unquote(key)
			places = append(places, cutNumbers(value, at+"."+fieldTitle(name))...)
			return nil
		})
	case rawjson.KindArray:
		_ = rawjson.Array(v, func(_ int, value []byte) error {
			places = append(places, cutNumbers(value, at)...)
			return nil
		})
	}
	return places
}

// isCut reports whether a literal is one of %.14g for a number from 1e14 to
// below 1e21, from where on JavaScript writes an exponent as well.
func isCut(lit []byte) bool {
	mantissa, exponent, ok := strings.Cut(string(lit), "e+")
	if !ok || len(exponent) != 2 || exponent < "14" || exponent > "20" {
		return false
	}
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(mantissa, "-"), ".")
	return len(whole) == 1 && len(fraction) <= 13
}
