package redisstore

import (
	"context"
	"strconv"
	"strings"

	"github.com/poolkeeper/poolkeeper"
)

// Redis can lose single keys: a node of a cluster is emptied, a server that is full
// drops what it likes. Of each key there is a ctl for as long as anything in it was
// changed, and for 30 days after it was deleted. So where that is missing, and an
// instance has a copy of the key, Redis has lost it; and so it has where ctl says that
// there are counts, and there are none. It is put back from the copy, in one step
// (back.lua), before anybody reads or writes it as an empty one.
//
// The ctl that is begun then says up to which revision of before (upto) the key has
// everything: what an instance has acknowledged beyond it is in its tail, and is applied
// again. Where the counts are still there and only the ctl was lost, they have
// everything. What was on its way cannot be told from what has come through.

// What became of a key that may have been lost.
const (
	backNone  = "NONE"  // there is nothing here, and no copy of it
	backThere = "THERE" // nothing is lost
	backPut   = "BACK"  // what was lost is there again, as far as the copy has it
	backKept  = "KEPT"  // the counts were here, and the ctl was begun anew
	backBare  = "BARE"  // the counts were lost, and there is no copy of them
)

// wasBack is putBack for who has found nothing of a key: true where it is to look
// again.
func (s *Store) wasBack(ctx context.Context, name string) (bool, error) {
	answer, err := s.putBack(ctx, name)
	return answer == backPut || answer == backKept || answer == backBare, err
}

// putBack puts a key back, if Redis has lost it. It writes nothing where the store is
// not the one that was opened.
func (s *Store) putBack(ctx context.Context, name string) (string, error) {
	key := s.keyOf(name)
	if key.Kind == poolkeeper.KindFile {
		return backNone, nil // the copy has none
	}
	ctx, cancel := context.WithTimeout(ctx, 10*s.opts.CommandTimeout) // it may be a big pool
	defer cancel()
	for range maxReads {
		whole, err := s.isWhole(ctx, name)
		if err != nil {
			return "", err
		}
		if whole {
			return backThere, nil
		}
		held, err := s.heldOf(key)
		if err != nil || held == nil && key.Kind != poolkeeper.KindPool {
			return backNone, err
		}
		epoch, err := s.ready(ctx)
		if err == nil {
			err = s.still(ctx, epoch)
		}
		if err != nil {
			return "", err
		}
		if held != nil && held.Meta[metaEpoch] != epoch {
			held = nil
		}
		answer, err := s.putBackOnce(ctx, epoch, name, key, held)
		if err != nil || answer != "STAGE" {
			return answer, err
		}
	}
	return "", poolkeeper.Errorf(poolkeeper.ErrUnavailable, "Redis has lost %s, and what it is to be put back from as well", key)
}

// isWhole reports whether Redis has a key's ctl, and all that this says there is.
func (s *Store) isWhole(ctx context.Context, name string) (bool, error) {
	b := s.client.B
	rs := s.client.DoMulti(ctx, b().Hmget().Key(s.ctl(name)).Field(metaEpoch, "counted", "dead", "empty").Build(),
		b().Exists().Key(name).Build(), b().Exists().Key(s.state(name)).Build(), b().Exists().Key(s.order(name)).Build())
	ctl, err := rs[0].ToArray()
	if err != nil {
		return false, readError(err)
	}
	var there [3]bool
	for i := range there {
		if there[i], err = rs[1+i].AsBool(); err != nil {
			return false, readError(err)
		}
	}
	has := func(i int) bool { return textOr(ctl[i], "") != "" }
	ordered := there[2] || !there[0] || s.keyOf(name).Kind != poolkeeper.KindPool
	return has(0) && (there[0] || has(2) || has(3)) && (there[1] || !has(1)) && ordered, nil
}

// heldOf is what this instance has of a key, or nil.
func (s *Store) heldOf(key poolkeeper.Key) (*poolkeeper.Snapshot, error) {
	if s.opts.Held == nil {
		return nil, nil
	}
	held, err := s.opts.Held(key)
	if err != nil || held == nil {
		return nil, err
	}
	if key.Kind == poolkeeper.KindPool && (held.Pools[key.Type] == nil || len(held.Pools[key.Type].Providers) == 0) || key.IsValue() && len(held.Values) == 0 || key.Kind == poolkeeper.KindTypes && len(held.Types) == 0 {
		return nil, nil
	}
	return held, nil
}

func (s *Store) putBackOnce(ctx context.Context, epoch, name string, key poolkeeper.Key, held *poolkeeper.Snapshot) (string, error) {
	command, channel := s.channel(epoch, name)
	keys := []string{s.ctl(name), name}
	args := []string{epoch, s.writer, command, channel, s.changeOf(name), ""}
	var number uint64
	switch key.Kind {
	case poolkeeper.KindPool:
		keys = append(keys, s.state(name), s.order(name))
		if held == nil {
			break
		}
		p := held.Pools[key.Type]
		number = p.Revision.Number
		ids, defs, lits := []string(nil), map[string][]byte{}, []string(nil)
		for i := range p.Providers {
			pr := &p.Providers[i]
			ids, defs[pr.ID] = append(ids, pr.ID), pr.Definition
			for j, lit := range pairs(&pr.State) {
				if j%2 == 0 {
					lit = pr.ID + ":" + lit
				}
				lits = append(lits, lit)
			}
		}
		run := s.newRun()
		defer s.unstage(name, run)
		if err := s.stagePool(ctx, name, run, ids, defs); err != nil {
			return "", err
		}
		keys = append(keys, s.stage(name, run, "pool"), s.stage(name, run, "order"))
		args = append(append(args, revisionText(p.Structure), strconv.Itoa(len(ids))), lits...)
	case poolkeeper.KindTypes:
		args = append(args, held.Types...)
	case poolkeeper.KindTokenRefs:
		args[4] = "hash"
		for k, d := range held.Values {
			number = max(number, d.Revision.Number)
			args = append(args, k.Name, string(d.Data))
		}
	default:
		d := held.Values[key]
		number = d.Revision.Number
		expiry := ""
		if d.ExpiresAt != 0 {
			expiry = strconv.FormatInt(d.ExpiresAt, 10)
		}
		args = append(args, string(d.Data), expiry, revisionText(d.Revision))
	}
	if held != nil {
		args[5] = strconv.FormatUint(number, 10)
	}
	answer, err := backScript.run(ctx, s.client, keys, args)
	if err != nil {
		f := classify(err)
		if poolkeeper.ClassOf(f.err).Err == poolkeeper.ErrIndeterminate { // it is found out by the next look
			return "", unavailable(err)
		}
		return "", f.err
	}
	switch answer {
	case backPut:
		s.opts.Logger.Warn("Redis has lost a key: it was put back from the copy that this instance has", "key", key.String(), "revision", number)
	case backBare:
		s.opts.Logger.Error("Redis has lost the counts of a pool, of which there is no copy: they begin anew with those of the definitions", "key", key.String())
	case backKept:
		s.opts.Logger.Warn("Redis has lost what it knew of the changes of a pool: its counts were still there, and are taken as they are", "key", key.String())
	}
	return answer, nil
}

// errUncertain is for what was sent, and not answered, when Redis lost the key.
var errUncertain = poolkeeper.Errorf(poolkeeper.ErrIndeterminate, "Redis has lost what it knew of the key before it answered: whether this was executed cannot be found out")

// inDoubt reports whether the batch may have counted in what Redis had, and has lost.
func (w *work) inDoubt() bool {
	return w.sent && w.s.keyOf(w.key).Kind == poolkeeper.KindPool
}

// revisionText is a revision as ctl has it.
func revisionText(r poolkeeper.Revision) string {
	if r.IsZero() {
		return "0"
	}
	return formatRevision(r)
}

// isGone decides what becomes of a batch of which Redis cannot say whether it was
// executed, as it has lost all that it knew of the key.
func (w *work) isGone(epoch string) bool {
	if f := w.confirmEpoch(epoch); f != nil {
		if f.again {
			return w.refused(f)
		}
		return w.gone(f.err)
	}
	answer, err := w.s.putBack(context.Background(), w.key)
	if err != nil {
		return w.refused(&failure{err: err, again: isOutage(err)})
	}
	switch own := w.own() && w.s.keepsTail(); {
	case own && (answer == backNone || !w.inDoubt()):
		return w.isBehind(epoch)
	case !own:
		return w.gone(w.lost("GONE"))
	}
	w.repair.CompareAndSwap(nil, &repair{})
	w.lose()
	return w.gone(errUncertain)
}

// upTo is the number of the revision up to which Redis has all of the key, as it was
// put back, and all that it says of that; 0 where it was not.
func (w *work) upTo() (text string, number uint64, f *failure) {
	text, err := w.s.client.Do(context.Background(), w.s.client.B().Hget().Key(w.s.ctl(w.key)).Field("upto").Build()).ToString()
	if isNil(err) {
		return "0", 0, nil
	}
	if f := classify(err); f != nil {
		f.sent, f.err = false, readError(err)
		return "", 0, f
	}
	first, _, _ := strings.Cut(text, " ")
	if number, err = strconv.ParseUint(first, 10, 64); err != nil {
		return "", 0, &failure{err: poolkeeper.Errorf(poolkeeper.ErrDamaged, "a stored revision cannot be read")}
	}
	return text, number, nil
}

// cameBack is for each account the last sequence that came with a key that was put
// back: all up to a revision. Of what is older than the tail only the order is known.
// The lock is held.
func (l *lane) cameBack(upto uint64) []uint64 {
	came := make([]uint64, len(l.tail.accounts))
	if upto == 0 {
		return came
	}
	oldest := l.tail.seen + 1
	first := map[int]uint64{} // sequences of the writers in the tail
	for _, c := range l.tail.stretches {
		for _, b := range c.batches(l.s.keyOf(l.key)) {
			oldest = min(oldest, b.number)
			if at, ok := first[b.writer]; !ok || b.from < at {
				first[b.writer] = b.from
			}
			if b.number <= upto {
				came[b.writer] = max(came[b.writer], b.seq)
			}
		}
	}
	if upto+1 < oldest {
		return came
	}
	for i, a := range l.tail.accounts {
		if at, ok := first[i]; ok {
			came[i] = max(came[i], at-1)
		} else {
			came[i] = a.last
		}
	}
	return came
}
