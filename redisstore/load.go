package redisstore

import (
	"context"
	"slices"

	"github.com/poolkeeper/poolkeeper"
	"github.com/redis/rueidis"
)

// Load implements poolkeeper.Backend.
func (s *Store) Load(ctx context.Context, keys ...poolkeeper.Key) (*poolkeeper.Snapshot, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// A read leaves nothing behind: one that met a connection that had ended is
	// tried again at once, on another.
	for n := 0; ; n++ {
		snap, err := s.load(ctx, keys)
		if err != nil && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if n == maxReads || !isOutage(err) {
			return snap, err
		}
	}
}

// maxReads is how often a read is tried again.
const maxReads = 2

func (s *Store) load(ctx context.Context, keys []poolkeeper.Key) (*poolkeeper.Snapshot, error) {
	r := &reader{Store: s, ctx: ctx, snap: poolkeeper.NewSnapshot(), whole: map[string]bool{}}
	if len(keys) == 1 && keys[0] == poolkeeper.MetaKey {
		return r.snap, r.meta()
	}
	epoch, err := s.ready(ctx)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		err = r.everything()
	} else {
		keys, err = r.many(keys)
	}
	for i := 0; i < len(keys) && err == nil; i++ {
		err = r.one(keys[i])
	}
	if err == nil {
		err = s.still(ctx, epoch)
	}
	if err != nil {
		return nil, err
	}
	return r.snap, nil
}

// A reader fills a snapshot.
type reader struct {
	*Store
	ctx   context.Context
	snap  *poolkeeper.Snapshot
	whole map[string]bool // the types whose pools were read whole
}

// many reads what is cheaper read together, single values and kinds that one scan
// finds, and returns the other keys.
func (r *reader) many(keys []poolkeeper.Key) (rest []poolkeeper.Key, err error) {
	var singles []poolkeeper.Key
	scanned := map[poolkeeper.KeyKind]bool{}
	for _, key := range keys {
		named := key.Name != "" || key.Kind == poolkeeper.KindConfig || key.Kind == poolkeeper.KindPassword
		switch key.Kind {
		case poolkeeper.KindToken, poolkeeper.KindSession, poolkeeper.KindDocument, poolkeeper.KindConfig, poolkeeper.KindPassword:
			if !named {
				scanned[key.Kind] = true
			} else if err := key.Validate(); err != nil {
				return nil, err
			} else {
				singles = append(singles, key)
			}
		default:
			rest = append(rest, key)
		}
	}
	if len(scanned) == 1 { // one that has names of its own is found by them
		for kind := range scanned {
			rest = append(rest, poolkeeper.Key{Kind: kind})
		}
	} else if len(scanned) > 1 {
		found, _, err := r.names(r.prefix)
		if err != nil {
			return nil, err
		}
		for _, key := range found {
			if scanned[key.Kind] {
				singles = append(singles, key)
			}
		}
		for kind := range scanned {
			singles = append(singles, r.held(kind, singles)...)
		}
	}
	return rest, r.values(singles)
}

func (r *reader) one(key poolkeeper.Key) error {
	switch key.Kind {
	case poolkeeper.KindMeta:
		return r.meta()
	case poolkeeper.KindTypes:
		types, err := r.readTypes(r.ctx)
		r.snap.Types = types
		return err
	case poolkeeper.KindPools:
		return r.pools(nil)
	case poolkeeper.KindPool:
		return r.pool(key.Type)
	case poolkeeper.KindProvider:
		return r.provider(poolkeeper.Ref{Type: key.Type, ID: key.Name})
	}
	if key.Name != "" || key.Kind == poolkeeper.KindConfig || key.Kind == poolkeeper.KindPassword {
		if err := key.Validate(); err != nil {
			return err
		}
		return r.values([]poolkeeper.Key{key})
	}
	var match string
	switch key.Kind {
	case poolkeeper.KindFile, poolkeeper.KindTokenRefs:
		return r.hash(key.Kind)
	case poolkeeper.KindToken:
		match = r.prefix + nameTokens
	case poolkeeper.KindSession:
		match = r.prefix + nameSessions
	case poolkeeper.KindDocument:
		match = r.prefix // the documents with names of their own as well
	default:
		return poolkeeper.Errorf(poolkeeper.ErrInvalid, "nothing can be loaded under a key of kind %q", string(key.Kind))
	}
	found, _, err := r.names(match)
	if err != nil {
		return err
	}
	found = slices.DeleteFunc(found, func(k poolkeeper.Key) bool { return k.Kind != key.Kind })
	return r.values(append(found, r.held(key.Kind, found)...))
}

func (r *reader) meta() error {
	meta, err := r.client.Do(r.ctx, r.client.B().Hgetall().Key(r.Store.meta()).Build()).AsStrMap()
	if err != nil {
		return readError(err)
	}
	r.snap.Meta = meta
	return nil
}

func (r *reader) everything() error {
	if err := r.meta(); err != nil {
		return err
	}
	values, pools, err := r.names(r.prefix)
	if err != nil {
		return err
	}
	if err := r.pools(pools); err != nil {
		return err
	}
	for _, kind := range []poolkeeper.KeyKind{poolkeeper.KindFile, poolkeeper.KindTokenRefs} {
		if err := r.hash(kind); err != nil {
			return err
		}
	}
	return r.values(values)
}

// names lists the keys of values that are single Redis keys, and the types of
// pools, that begin with a text.
func (r *reader) names(begin string) (values []poolkeeper.Key, types []string, err error) {
	seen := map[poolkeeper.Key]bool{}
	err = r.scan(r.ctx, begin, func(names []string) bool {
		for _, n := range names {
			k, ok := r.parse(n)
			if !ok || seen[k] {
				continue
			}
			seen[k] = true
			switch {
			case k.Kind == poolkeeper.KindPool:
				types = append(types, k.Type)
			case k.Name != "" || k.Kind == poolkeeper.KindConfig || k.Kind == poolkeeper.KindPassword:
				if k.Validate() == nil {
					values = append(values, k)
				}
			}
		}
		return true
	})
	slices.Sort(types)
	return values, types, err
}

// hash reads all values that are fields of one hash.
func (r *reader) hash(kind poolkeeper.KeyKind) error {
	name := r.files()
	if kind == poolkeeper.KindTokenRefs {
		name = r.tokenRefs()
		if _, err := r.wasBack(r.ctx, name); err != nil {
			return err
		}
	}
	// The revision is read first, so that the values are at least as new.
	text, err := r.client.Do(r.ctx, r.client.B().Hget().Key(r.ctl(name)).Field("rev").Build()).ToString()
	if err != nil && !isNil(err) {
		return readError(err)
	}
	rev, err := parseRevision(text)
	if err != nil {
		return err
	}
	take := func(field string, data []byte) {
		r.snap.Values[poolkeeper.Key{Kind: kind, Name: field}] = poolkeeper.Document{Data: data, Revision: rev}
	}
	if kind == poolkeeper.KindTokenRefs {
		return r.manyFields(name, take)
	}
	all, err := r.client.Do(r.ctx, r.client.B().Hgetall().Key(name).Build()).AsStrMap()
	if err != nil {
		return readError(err)
	}
	for field, v := range all {
		take(field, []byte(v))
	}
	return nil
}

// manyFields reads a hash of many small fields in parts, since all of it at once
// would hold Redis up. Each field is a key of its own.
func (r *reader) manyFields(name string, take func(field string, data []byte)) error {
	for cursor := uint64(0); ; {
		e, err := r.client.Do(r.ctx, r.client.B().Hscan().Key(name).Cursor(cursor).Count(1000).Build()).AsScanEntry()
		if err != nil {
			return readError(err)
		}
		for i := 0; i+1 < len(e.Elements); i += 2 {
			take(e.Elements[i], []byte(e.Elements[i+1]))
		}
		if cursor = e.Cursor; cursor == 0 {
			return nil
		}
	}
}

// values reads single values, many in one round trip.
func (r *reader) values(keys []poolkeeper.Key) error {
	var lost []poolkeeper.Key
	for part := range slices.Chunk(keys, chunk) {
		const per = 2
		cmds := make(rueidis.Commands, 0, per*len(part))
		for _, k := range part {
			name, field := r.value(k)
			if field != "" {
				cmds = append(cmds, r.client.B().Hget().Key(name).Field(field).Build())
			} else {
				cmds = append(cmds, r.client.B().Get().Key(name).Build())
			}
			cmds = append(cmds, r.client.B().Hmget().Key(r.ctl(name)).Field("rev", "expiry").Build())
		}
		rs := r.client.DoMulti(r.ctx, cmds...)
		for i, k := range part {
			data, err := rs[per*i].AsBytes()
			if err != nil && !isNil(err) {
				return readError(err)
			}
			ctl, err2 := rs[per*i+1].ToArray()
			if err2 != nil {
				return readError(err2)
			}
			if isNil(err) {
				lost = append(lost, k)
				continue
			}
			d := poolkeeper.Document{Data: data, ExpiresAt: poolkeeper.Int(textOr(ctl[1], ""))}
			if d.Revision, err = parseRevision(textOr(ctl[0], "")); err != nil {
				return err
			}
			r.snap.Values[k] = d
		}
	}
	return r.backOf(lost)
}

// wasBack leaves out what cannot be put back for now: who reads gets what is there.
func (r *reader) wasBack(ctx context.Context, name string) (bool, error) {
	back, err := r.Store.wasBack(ctx, name)
	if isOutage(err) {
		return false, nil
	}
	return back, err
}

// backOf puts back what Redis has lost of the values that were not found, and reads
// them.
func (r *reader) backOf(lost []poolkeeper.Key) error {
	var again []poolkeeper.Key
	for _, k := range lost {
		name, _ := r.value(k)
		if held, err := r.heldOf(r.keyOf(name)); err != nil || held == nil {
			continue // it was never here
		}
		if back, err := r.wasBack(r.ctx, name); err != nil {
			return err
		} else if back {
			again = append(again, k)
		}
	}
	if len(again) == 0 {
		return nil
	}
	return r.values(again)
}

// held are the keys of a kind that this instance has, and that were not found.
func (r *reader) held(kind poolkeeper.KeyKind, found []poolkeeper.Key) (missing []poolkeeper.Key) {
	held, err := r.heldOf(poolkeeper.Key{Kind: kind})
	if err != nil || held == nil {
		return nil
	}
	there := make(map[poolkeeper.Key]bool, len(found))
	for _, k := range found {
		there[k] = true
	}
	for k := range held.Values {
		if !there[k] {
			missing = append(missing, k)
		}
	}
	return missing
}

// scan calls fn with the names of all keys that begin with a text, on every
// primary of a cluster. A name may come more than once. It ends where fn
// returns false.
func (s *Store) scan(ctx context.Context, begin string, fn func([]string) bool) error {
	nodes := s.client.Nodes()
	if s.cluster {
		var err error
		if nodes, err = s.primaries(ctx); err != nil {
			return err
		}
	}
	for _, node := range nodes {
		var cursor uint64
		for {
			e, err := node.Do(ctx, node.B().Scan().Cursor(cursor).Match(globEscape(begin)+"*").Count(1000).Build()).AsScanEntry()
			if err != nil {
				return readError(err)
			}
			if !fn(e.Elements) {
				return nil
			}
			if cursor = e.Cursor; cursor == 0 {
				break
			}
		}
	}
	return nil
}
