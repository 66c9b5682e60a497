package redisstore

import (
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/redis/rueidis"
)

// maxAtOnce is how many providers a pool may have to be read in one
// transaction; a bigger one is read in parts between two equal revisions.
const maxAtOnce = 10_000

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
	var p *poolkeeper.Pool
	if size > maxAtOnce {
		if p, err = r.poolSteady(typ); err != nil {
			return err
		}
	}
	if p == nil {
		if p, err = r.poolAtOnce(typ); isOutage(err) {
			// A server that is out of memory takes no command into a transaction, and
			// answers single ones. Nobody writes then.
			if q, again := r.poolSteady(typ); q != nil && again == nil {
				p, err = q, nil
			}
		}
		if err != nil {
			return err
		}
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
	r.snap.Pools[typ], r.whole[typ] = p, true
	return nil
}

// poolSteady reads a pool in parts; nil where it changes all the time.
func (r *reader) poolSteady(typ string) (*poolkeeper.Pool, error) {
	tries := 0
	for range 10 {
		p, lacks, whole, err := r.poolInParts(typ)
		if err != nil {
			return nil, err
		}
		if !whole && lacks == lacksNothing {
			continue
		}
		again, err := r.complete(typ, lacks, tries)
		if tries++; again {
			continue
		}
		if err != nil || !whole {
			return nil, err
		}
		return p, nil
	}
	return nil, nil
}

// poolAtOnce reads a pool at one moment.
func (r *reader) poolAtOnce(typ string) (*poolkeeper.Pool, error) {
	for tries := 0; ; tries++ {
		p, lacks, err := r.poolAsIs(typ)
		if err != nil {
			return nil, err
		}
		if again, err := r.complete(typ, lacks, tries); err != nil || !again {
			return p, err
		}
	}
}

// What a pool, as it was read, may lack by the account of its ctl.
type lack int

const (
	lacksNothing     lack = iota
	lacksParts            // ctl, or some part that need not be there
	lacksDefinitions      // which it had
	lacksCounts           // which it had
)

// complete has what a pool lacks put back, if Redis has lost it; again where it is to be
// read once more. A pool whose counts or definitions are lost is not read as one that has none.
func (r *reader) complete(typ string, lacks lack, tries int) (again bool, err error) {
	if lacks == lacksNothing {
		return false, nil
	}
	back, err := r.wasBack(r.ctx, r.Store.pool(typ))
	switch {
	case err != nil:
		return false, err
	case (back || tries == 0) && tries < maxReads: // or somebody else has put it back
		return true, nil
	case lacks == lacksCounts:
		return false, poolkeeper.Errorf(poolkeeper.ErrUnavailable, "Redis has lost the counts of pool %s, and they are not put back yet", typ)
	case lacks == lacksDefinitions:
		if held, err := r.heldOf(poolkeeper.PoolKey(typ)); err != nil || held != nil { // and of an older structure
			return false, poolkeeper.Errorf(poolkeeper.ErrUnavailable, "Redis has lost the definitions of pool %s, and they are not put back yet", typ)
		}
	}
	return false, nil
}

func (r *reader) poolAsIs(typ string) (*poolkeeper.Pool, lack, error) {
	key := r.Store.pool(typ)
	parts, err := r.transaction(r.ctx,
		r.client.B().Hmget().Key(r.ctl(key)).Field(ofPool...).Build(),
		r.client.B().Zrange().Key(r.order(key)).Min("0").Max("-1").Build(),
		r.client.B().Hgetall().Key(key).Build(),
		r.client.B().Hgetall().Key(r.state(key)).Build())
	if err != nil {
		return nil, 0, err
	}
	p := &poolkeeper.Pool{Type: typ}
	if err := readRevisions(p, parts[0]); err != nil {
		return nil, 0, err
	}
	order, err := parts[1].AsStrSlice()
	if err != nil {
		return nil, 0, readError(err)
	}
	defs, err := parts[2].AsStrMap()
	if err != nil {
		return nil, 0, readError(err)
	}
	lits, err := parts[3].AsStrMap()
	if err != nil {
		return nil, 0, readError(err)
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
	return p, lacks(parts[0], len(defs), len(order), len(lits)), nil
}

// ofPool are the fields of ctl that are read with a pool.
var ofPool = []string{"rev", "srev", metaEpoch, "counted", "dead", "empty"}

// lacks is what a pool lacks, by its ctl and how much there is of it.
func lacks(m rueidis.RedisMessage, defs, order, lits int) lack {
	ctl, err := m.ToArray()
	has := func(i int) bool { return err == nil && textOr(ctl[i], "") != "" }
	switch {
	case has(3) && lits == 0:
		return lacksCounts
	case has(2) && defs == 0 && !has(4) && !has(5):
		return lacksDefinitions
	case !has(2), order == 0 && defs > 0:
		return lacksParts
	}
	return lacksNothing
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

// poolInParts reads a big pool without holding Redis up: definitions and order
// are one whole where the structure revision is the same before and after; the
// state of each provider is read by one command.
func (r *reader) poolInParts(typ string) (p *poolkeeper.Pool, lacking lack, whole bool, err error) {
	key := r.Store.pool(typ)
	var ctl rueidis.RedisMessage
	revisions := func() (*poolkeeper.Pool, error) {
		m, err := r.client.Do(r.ctx, r.client.B().Hmget().Key(r.ctl(key)).Field(ofPool...).Build()).ToMessage()
		if err != nil {
			return nil, readError(err)
		}
		ctl = m
		p := &poolkeeper.Pool{Type: typ}
		return p, readRevisions(p, m)
	}
	if p, err = revisions(); err != nil {
		return nil, 0, false, err
	}
	order, err := r.client.Do(r.ctx, r.client.B().Zrange().Key(r.order(key)).Min("0").Max("-1").Build()).AsStrSlice()
	if err != nil {
		return nil, 0, false, readError(err)
	}
	// A pool that was never counted in has no state, and nobody is asked for it.
	counted, err := r.client.Do(r.ctx, r.client.B().Exists().Key(r.state(key)).Build()).AsBool()
	if err != nil {
		return nil, 0, false, readError(err)
	}
	for ids := range slices.Chunk(order, chunk) {
		cmds := rueidis.Commands{r.client.B().Hmget().Key(key).Field(ids...).Build()}
		if counted {
			names := make([]string, 0, len(ids)*(poolkeeper.NumFields+1))
			for _, id := range ids {
				names = append(names, stateFields(id)...)
			}
			cmds = append(cmds, r.client.B().Hmget().Key(r.state(key)).Field(names...).Build())
		}
		rs := r.client.DoMulti(r.ctx, cmds...)
		defs, err := rs[0].ToArray()
		if err != nil {
			return nil, 0, false, readError(err)
		}
		var lits []rueidis.RedisMessage
		if counted {
			if lits, err = rs[1].ToArray(); err != nil {
				return nil, 0, false, readError(err)
			}
		}
		for i, id := range ids {
			def, err := defs[i].AsBytes()
			if isNil(err) {
				return nil, 0, false, nil
			}
			if err != nil {
				return nil, 0, false, readError(err)
			}
			pr := poolkeeper.Provider{Ref: poolkeeper.Ref{Type: typ, ID: id}, Definition: def}
			if n := poolkeeper.NumFields + 1; counted {
				pr.State = readState(lits[i*n : (i+1)*n])
			}
			p.Providers = append(p.Providers, pr)
		}
	}
	after, err := revisions()
	if err != nil {
		return nil, 0, false, err
	}
	size, err := r.client.Do(r.ctx, r.client.B().Hlen().Key(key).Build()).AsInt64()
	if err != nil {
		return nil, 0, false, readError(err)
	}
	states := 0
	if counted {
		states = 1
	}
	return p, lacks(ctl, int(size), len(order), states), after.Structure == p.Structure && int(size) == len(p.Providers), nil
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
	if !r.whole[ref.Type] { // a pool that was read whole keeps its own
		p.Revision, p.Structure = got.rev, got.structure
	}
	if got.id != ref.ID {
		r.snap.Aliases[ref] = got.id
	}
	if !r.whole[ref.Type] && p.Provider(got.id) == nil {
		p.Providers = append(p.Providers, poolkeeper.Provider{Ref: poolkeeper.Ref{Type: ref.Type, ID: got.id}, Definition: got.def, State: got.state})
	}
	return nil
}
