package transfer

import (
	"bytes"
	"path"
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
)

// A valuePlan holds the ops on values, in the order of their phases.
type valuePlan struct {
	moves    []poolkeeper.Op // tokens that give way to others
	moveRefs []poolkeeper.Op // and the paths of those
	data     []poolkeeper.Op // tokens, files, documents, sessions
	refs     []poolkeeper.Op // the paths of tokens
	last     []poolkeeper.Op // config and password
}

// planValues plans everything but tokens: it is what the directory has.
func (im *importer) planValues(plan *valuePlan) {
	for _, kind := range []poolkeeper.KeyKind{poolkeeper.KindFile, poolkeeper.KindDocument, poolkeeper.KindSession} {
		for _, k := range im.dir.KeysOf(kind) {
			switch kind {
			case poolkeeper.KindFile:
				im.planFile(plan, k)
			case poolkeeper.KindDocument:
				im.planDocument(plan, k)
			default:
				im.planSession(plan, k)
			}
		}
	}
	for _, k := range []poolkeeper.Key{poolkeeper.ConfigKey, poolkeeper.PasswordKey} {
		if d, ok := im.dir.Values[k]; ok {
			im.put(&plan.last, k, "", d)
		}
	}
}

// put plans that a key gets a value, unless it has it. The op is on top of
// what was seen, so that nothing is overwritten that came meanwhile.
func (im *importer) put(ops *[]poolkeeper.Op, k poolkeeper.Key, path string, d poolkeeper.Document) {
	op := poolkeeper.Op{Kind: poolkeeper.OpPut, Key: k, Data: d.Data, ExpiresAt: d.ExpiresAt, If: poolkeeper.IfAbsent}
	old, ok := im.store.Values[k]
	im.used[k] = true
	switch {
	case !ok:
		im.added(k, path, "")
	case bytes.Equal(old.Data, d.Data):
		im.result.Unchanged++
		return
	default:
		im.changed(k, path, "")
		op.If = poolkeeper.If(old.ETag())
	}
	*ops = append(*ops, op)
}

// planFile brings a carried file in, as what the store has under its path.
func (im *importer) planFile(plan *valuePlan, k poolkeeper.Key) {
	d := im.dir.Values[k]
	if owner, ok := im.storedOwner(k.Name); ok {
		if stored, ok := im.store.Token(owner); ok {
			im.used[poolkeeper.TokenKey(owner)], im.used[poolkeeper.TokenRefKey(k.Name)] = true, true
			if im.claimed[owner] { // its provider has moved to another file
				im.keep(poolkeeper.TokenKey(owner), k.Name, "the path still names the stored token of that provider")
				return
			}
			im.claimed[owner] = true
			if im.wins(poolkeeper.TokenKey(owner), k.Name, stored.Data, d.Data) {
				plan.data = append(plan.data, poolkeeper.Op{
					Kind: poolkeeper.OpPut, Key: poolkeeper.TokenKey(owner), Data: d.Data, If: poolkeeper.If(stored.ETag()),
				})
			}
			return
		}
	}
	if doc := poolkeeper.DocumentKey(path.Base(k.Name)); path.Dir(k.Name) == configdir.Name {
		if _, ok := im.store.Values[doc]; ok {
			k = doc
		}
	}
	im.put(&plan.data, k, "", d)
}

func (im *importer) planDocument(plan *valuePlan, k poolkeeper.Key) {
	d := im.dir.Values[k]
	if k.Name == configdir.TokenStore {
		// It is the same where the sessions make it so.
		if configdir.SameTokenStore(im.dir, im.store, time.UnixMilli(im.now)) {
			im.used[k] = true
			im.result.Unchanged++
			return
		}
	}
	im.put(&plan.data, k, "", d)
}

func (im *importer) planSession(plan *valuePlan, k poolkeeper.Key) {
	d := im.dir.Values[k]
	old, ok := im.store.Values[k]
	if ok && (bytes.Equal(old.Data, d.Data) || configdir.SameSession(old, d)) {
		d = old // with the end that it has there, in its document or beside it
		im.dir.Values[k] = d
	}
	if ok && !im.opts.Force && !bytes.Equal(old.Data, d.Data) && (old.ExpiresAt == 0 || im.now < old.ExpiresAt) {
		im.used[k] = true
		im.keep(k, "", "the stored session stays")
		return
	}
	im.put(&plan.data, k, "", d)
}

// planTypes plans the order of the types: that of the directory, then the
// types that are only in the store, and stay.
func (im *importer) planTypes() []poolkeeper.Op {
	if im.from != nil && im.from.Unordered {
		return nil // new pools come last by themselves
	}
	inDir := make(map[string]bool, len(im.dir.Types))
	for _, t := range im.dir.Types {
		inDir[t] = true
	}
	order := append([]string(nil), im.dir.Types...)
	present := append([]string(nil), im.store.Types...)
	if im.opts.Mirror { // the others are gone by then
		present = slices.DeleteFunc(present, func(t string) bool { return !inDir[t] })
	}
	for _, t := range present {
		if !inDir[t] {
			order = append(order, t)
		}
	}
	for _, t := range im.dir.Types {
		if im.store.Pools[t] == nil {
			present = append(present, t) // a new pool comes last
		}
	}
	for i := range order {
		if order[i] != present[i] {
			im.changed(poolkeeper.TypesKey, "", "order")
			return []poolkeeper.Op{{Kind: poolkeeper.OpReorderTypes, Key: poolkeeper.TypesKey, Order: order}}
		}
	}
	return nil
}
