package redisstore

import (
	"context"
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/redis/rueidis"
)

// maxAtOnce is how many providers a pool may have to be read in one
// transaction; a bigger one is read in parts between two equal revisions.
const maxAtOnce = 10_000

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
		if n == maxReads || !isOutage(err) || ctx.Err() != nil {
			return snap, err
		}
	}
}

// maxReads is how often a read is tried again.
const maxReads = 2

func (s *Store) load(ctx context.Context, keys []poolkeeper.Key) (*poolkeeper.Snapshot, error) {
	r := &reader{Store: s, ctx: ctx, snap: poolkeeper.NewSnapshot()}
	if len(keys) == 1 && keys[0] == poolkeeper.MetaKey {
		return r.snap, r.meta()
	}
	epoch, err := s.ready(ctx)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		err = r.everything()
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
	ctx  context.Context
	snap *poolkeeper.Snapshot
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
	return r.values(slices.DeleteFunc(found, func(k poolkeeper.Key) bool { return k.Kind != key.Kind }))
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

// pools reads all pools: those listed, and those found beside them.
func (r *reader) pools(found []string) error {
	types, err := r.readTypes(r.ctx)
	if err != nil {
		return err
	}
	for _, t := range found {
		if !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	for _, t := range types {
		if err := r.pool(t); err != nil {
			return err
		}
		if r.snap.Pools[t] == nil { // listed and empty
			r.snap.Pools[t] = &poolkeeper.Pool{Type: t}
		}
	}
	r.snap.Types = types
	return nil
}

// pool reads one pool, if it is there.
func (r *reader) pool(typ string) error {
	key := r.Store.pool(typ)
	size, err := r.client.Do(r.ctx, r.client.B().Hlen().Key(key).Build()).AsInt64()
	if err != nil {
		return readError(err)
	}
	if size > maxAtOnce {
		for range 10 {
			p, whole, err := r.poolInParts(typ)
			if err != nil {
				return err
			}
			if whole {
				r.snap.Pools[typ] = p
				return nil
			}
		}
	}
	p, err := r.poolAtOnce(typ)
	if err != nil {
		return err
	}
	if len(p.Providers) == 0 {
		listed, err := r.readTypes(r.ctx)
		if err != nil {
			return err
		}
		if !slices.Contains(listed, typ) {
			return nil
		}
	}
	r.snap.Pools[typ] = p
	return nil
}

func (r *reader) poolAtOnce(typ string) (*poolkeeper.Pool, error) {
	key := r.Store.pool(typ)
	parts, err := r.transaction(r.ctx,
		r.client.B().Hmget().Key(r.ctl(key)).Field("rev", "srev").Build(),
		r.client.B().Zrange().Key(r.order(key)).Min("0").Max("-1").Build(),
		r.client.B().Hgetall().Key(key).Build(),
		r.client.B().Hgetall().Key(r.state(key)).Build())
	if err != nil {
		return nil, err
	}
	p := &poolkeeper.Pool{Type: typ}
	if err := readRevisions(p, parts[0]); err != nil {
		return nil, err
	}
	order, err := parts[1].AsStrSlice()
	if err != nil {
		return nil, readError(err)
	}
	defs, err := parts[2].AsStrMap()
	if err != nil {
		return nil, readError(err)
	}
	lits, err := parts[3].AsStrMap()
	if err != nil {
		return nil, readError(err)
	}
	states := make(map[string]*poolkeeper.State, len(defs))
	for name, lit := range lits {
		i := strings.LastIndexByte(name, ':')
		if i < 0 {
			continue
		}
		st := states[name[:i]]
		if st == nil {
			st = &poolkeeper.State{}
			states[name[:i]] = st
		}
		lay(st, name[i+1:], lit)
	}
	for _, id := range completeOrder(order, defs) {
		pr := poolkeeper.Provider{Ref: poolkeeper.Ref{Type: typ, ID: id}, Definition: []byte(defs[id])}
		if st := states[id]; st != nil {
			pr.State = *st
		}
		p.Providers = append(p.Providers, pr)
	}
	return p, nil
}

func readRevisions(p *poolkeeper.Pool, m rueidis.RedisMessage) (err error) {
	ctl, err := m.ToArray()
	if err != nil {
		return readError(err)
	}
	if p.Revision, err = parseRevision(textOr(ctl[0], "0")); err != nil {
		return err
	}
	p.Structure, err = parseRevision(textOr(ctl[1], "0"))
	return err
}

// lay lays one field of the state hash over a state. A field that is none is
// of a later version, and left alone.
func lay(st *poolkeeper.State, field, lit string) {
	if f, ok := poolkeeper.FieldNamed(field); ok {
		st.Set(f, lit)
	} else if field == "decidedAt" {
		st.DecidedAt = poolkeeper.Int(lit)
	}
}

// stateNames are the fields that a provider has in the state hash.
var stateNames = func() []string {
	var names []string
	for _, f := range poolkeeper.Fields() {
		names = append(names, f.String())
	}
	return append(names, "decidedAt")
}()

// stateFields are the names of those fields there.
func stateFields(id string) []string {
	names := make([]string, len(stateNames))
	for i, n := range stateNames {
		names[i] = id + ":" + n
	}
	return names
}

// readState reads what HMGET answered for stateFields.
func readState(lits []rueidis.RedisMessage) (st poolkeeper.State) {
	for i, m := range lits {
		lit, err := m.ToString()
		if err != nil {
			continue
		}
		if i < poolkeeper.NumFields {
			st.Set(poolkeeper.Field(i), lit)
		} else {
			st.DecidedAt = poolkeeper.Int(lit)
		}
	}
	return st
}

// poolInParts reads a big pool without holding Redis up: definitions and order
// are one whole where the structure revision is the same before and after; the
// state of each provider is read by one command.
func (r *reader) poolInParts(typ string) (p *poolkeeper.Pool, whole bool, err error) {
	key := r.Store.pool(typ)
	revisions := func() (*poolkeeper.Pool, error) {
		m, err := r.client.Do(r.ctx, r.client.B().Hmget().Key(r.ctl(key)).Field("rev", "srev").Build()).ToMessage()
		if err != nil {
			return nil, readError(err)
		}
		p := &poolkeeper.Pool{Type: typ}
		return p, readRevisions(p, m)
	}
	if p, err = revisions(); err != nil {
		return nil, false, err
	}
	order, err := r.client.Do(r.ctx, r.client.B().Zrange().Key(r.order(key)).Min("0").Max("-1").Build()).AsStrSlice()
	if err != nil {
		return nil, false, readError(err)
	}
	for ids := range slices.Chunk(order, chunk) {
		cmds := rueidis.Commands{r.client.B().Hmget().Key(key).Field(ids...).Build()}
		var names []string
		for _, id := range ids {
			names = append(names, stateFields(id)...)
		}
		cmds = append(cmds, r.client.B().Hmget().Key(r.state(key)).Field(names...).Build())
		rs := r.client.DoMulti(r.ctx, cmds...)
		defs, err := rs[0].ToArray()
		if err != nil {
			return nil, false, readError(err)
		}
		lits, err := rs[1].ToArray()
		if err != nil {
			return nil, false, readError(err)
		}
		for i, id := range ids {
			def, err := defs[i].ToString()
			if isNil(err) {
				return nil, false, nil
			}
			if err != nil {
				return nil, false, readError(err)
			}
			n := poolkeeper.NumFields + 1
			p.Providers = append(p.Providers, poolkeeper.Provider{Ref: poolkeeper.Ref{Type: typ, ID: id}, Definition: []byte(def),
				State: readState(lits[i*n : (i+1)*n])})
		}
	}
	after, err := revisions()
	if err != nil {
		return nil, false, err
	}
	size, err := r.client.Do(r.ctx, r.client.B().Hlen().Key(key).Build()).AsInt64()
	if err != nil {
		return nil, false, readError(err)
	}
	return p, after.Structure == p.Structure && int(size) == len(p.Providers), nil
}

// provider reads one provider into a pool of its own.
func (r *reader) provider(ref poolkeeper.Ref) error {
	got, err := r.read(r.ctx, ref.Type, ref.ID, "", true)
	if err != nil || got.def == nil {
		return err
	}
	p := r.snap.Pools[ref.Type]
	if p == nil {
		p = &poolkeeper.Pool{Type: ref.Type}
		r.snap.Pools[ref.Type] = p
	}
	p.Revision, p.Structure = got.rev, got.structure
	if got.id != ref.ID {
		r.snap.Aliases[ref] = got.id
	}
	if p.Provider(got.id) == nil {
		p.Providers = append(p.Providers, poolkeeper.Provider{Ref: poolkeeper.Ref{Type: ref.Type, ID: got.id}, Definition: got.def, State: got.state})
	}
	return nil
}

// hash reads all values that are fields of one hash.
func (r *reader) hash(kind poolkeeper.KeyKind) error {
	name := r.files()
	if kind == poolkeeper.KindTokenRefs {
		name = r.tokenRefs()
	}
	rs := r.client.DoMulti(r.ctx, r.client.B().Hgetall().Key(name).Build(), r.client.B().Hget().Key(r.ctl(name)).Field("rev").Build())
	all, err := rs[0].AsStrMap()
	if err != nil {
		return readError(err)
	}
	text, err := rs[1].ToString()
	if err != nil && !isNil(err) {
		return readError(err)
	}
	rev, err := parseRevision(text)
	if err != nil {
		return err
	}
	for field, v := range all {
		r.snap.Values[poolkeeper.Key{Kind: kind, Name: field}] = poolkeeper.Document{Data: []byte(v), Revision: rev}
	}
	return nil
}

// values reads single values, many in one round trip.
func (r *reader) values(keys []poolkeeper.Key) error {
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
			data, err := rs[per*i].ToString()
			if isNil(err) {
				continue
			}
			if err != nil {
				return readError(err)
			}
			ctl, err := rs[per*i+1].ToArray()
			if err != nil {
				return readError(err)
			}
			d := poolkeeper.Document{Data: []byte(data), ExpiresAt: poolkeeper.Int(textOr(ctl[1], ""))}
			if d.Revision, err = parseRevision(textOr(ctl[0], "")); err != nil {
				return err
			}
			r.snap.Values[k] = d
		}
	}
	return nil
}

// scan calls fn with the names of all keys that begin with a text, on every
// primary of a cluster. A name may come more than once. It ends where fn
// returns false.
func (s *Store) scan(ctx context.Context, begin string, fn func([]string) bool) error {
	for _, node := range s.client.Nodes() {
		if s.cluster {
			role, err := node.Do(ctx, node.B().Role().Build()).ToArray()
			if err != nil {
				return readError(err)
			}
			if len(role) == 0 || textOr(role[0], "") != "master" {
				continue
			}
		}
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
