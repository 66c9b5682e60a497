package redisstore

import (
	"bytes"
	"context"
	"slices"
	"strconv"

	"github.com/poolkeeper/poolkeeper"
	"github.com/redis/rueidis"
)

// Adopt turns a store in a foreign layout into Poolkeeper's, where it lies. The
// snapshot is that of [Store.LoadForeign]; where the store is not like it any
// more the error is ErrConflict, and nothing was changed.
//
// Until the last step, which writes the epoch, every key of the layout has what
// it had, put right at most: what Poolkeeper keeps under other names is written
// beside it, and a pool whose definitions or fields change is replaced in one
// step. So nothing is lost wherever a run is cut off; it is marked, and
// simply run again. The gateway whose layout it is must not write meanwhile.
// What is left over of the layout is removed after the last step.
//
// In a store that is initialised, Adopt finishes a run that was cut off while
// it removed what was left over, and does nothing else.
func (s *Store) Adopt(ctx context.Context, snap *poolkeeper.Snapshot) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	switch err := s.mustBeForeign(ctx); err {
	case nil:
	case errInitialized:
		return s.tidy(ctx)
	default:
		return err
	}
	r, err := s.beginRestore(ctx)
	if err != nil {
		return err
	}
	defer r.release()
	f, err := s.readForeign(ctx, r.hold)
	if err != nil {
		return err
	}
	if !sameForeign(f.snap, snap, s.opts.Now().UnixMilli()) {
		return poolkeeper.Errorf(poolkeeper.ErrConflict, "the foreign store was changed since it was read").
			WithHint("stop the gateway that writes to it, and run the import again")
	}
	f.snap = snap // the ends of sessions are those that it says
	a := &adoption{restore: r, from: f}
	for _, step := range []func() error{
		func() error { return r.sign(metaAdopting) }, a.clean, a.values, a.pools, a.noteLeftovers,
		func() error { return r.commit(f.snap) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return r.removeLeftovers()
}

// sameForeign compares what was read with what is to be converted. A session
// may have ended meanwhile.
func sameForeign(a, b *poolkeeper.Snapshot, now int64) bool {
	if b == nil || !slices.Equal(a.Types, b.Types) {
		return false
	}
	for name, v := range a.Meta { // what the import itself says is added
		if b.Meta[name] != v {
			return false
		}
	}
	for _, t := range a.Types {
		if !slices.EqualFunc(a.Pools[t].Providers, b.Pools[t].Providers, func(x, y poolkeeper.Provider) bool {
			return x.Ref == y.Ref && bytes.Equal(x.Definition, y.Definition) && x.State == y.State
		}) {
			return false
		}
	}
	const tick = 1000 // what the clocks may differ by
	for k, y := range b.Values {
		x, there := a.Values[k]
		ended := y.ExpiresAt != 0 && y.ExpiresAt <= now+tick
		if there && !bytes.Equal(x.Data, y.Data) || !there && !ended {
			return false
		}
	}
	for k := range a.Values {
		if _, there := b.Values[k]; !there {
			return false
		}
	}
	return true
}

// An adoption is one run of it.
type adoption struct {
	*restore
	from *foreignReader
}

// flush returns when all that was added is done: the steps of a conversion build
// on each other.
func (a *adoption) flush() error {
	if err := a.restore.flush(); err != nil {
		return err
	}
	return a.wait()
}

// clean removes what a run that was cut off has made for itself: it is made of
// the keys of the layout, and made again.
func (a *adoption) clean() error {
	for _, n := range a.from.own {
		if err := a.add(len(n), a.client.B().Unlink().Key(n).Build()); err != nil {
			return err
		}
	}
	return a.flush()
}

// values writes the values. What takes the place of something else comes last:
// that is then kept under another name.
func (a *adoption) values() error {
	mortal := map[string]bool{}
	for _, keys := range a.from.keys {
		for _, k := range keys {
			mortal[k.name] = k.ttl >= 0
		}
	}
	var late []poolkeeper.Key
	for k, d := range a.from.snap.Values {
		if d.ExpiresAt != 0 && d.ExpiresAt <= a.opts.Now().UnixMilli() {
			continue
		}
		name, field := a.value(k)
		old, there := a.from.values[name]
		switch {
		case field == "" && there && bytes.Equal(old, d.Data) && k.Kind != poolkeeper.KindSession:
			if !mortal[name] {
				continue
			}
			if err := a.add(len(name), a.client.B().Persist().Key(name).Build()); err != nil {
				return err
			}
		case field == "" && there:
			late = append(late, k)
		default:
			if err := a.putValue(k, d); err != nil {
				return err
			}
		}
	}
	if err := a.flush(); err != nil {
		return err
	}
	for _, k := range late {
		if err := a.putValue(k, a.from.snap.Values[k]); err != nil {
			return err
		}
	}
	return a.flush()
}

// pools makes the pools: those that are as they will be get their order and
// state, the others are replaced.
func (a *adoption) pools() error {
	for _, typ := range a.from.snap.Types {
		p := a.from.pools[typ]
		key := a.Store.pool(typ)
		stage := ""
		if len(p.fields) > 0 && !p.same {
			stage = a.stage(key, a.run, "pool")
		}
		if err := a.pool(typ, a.from.snap.Pools[typ], stage); err != nil {
			return err
		}
		if stage == "" {
			continue
		}
		// All of the stage is there before it takes the place of the pool.
		if err := a.flush(); err != nil {
			return err
		}
		answer, err := placeScript.run(a.ctx, a.client, []string{stage, key}, []string{strconv.Itoa(len(p.fields))})
		if err != nil {
			return poolkeeper.Annotate(readError(err), "convert", key)
		}
		if answer != "OK" {
			return poolkeeper.Errorf(poolkeeper.ErrConflict, "what was staged of the pool %s is gone", fieldTitle(typ)).WithHint("run the import again")
		}
	}
	return a.flush()
}

// noteLeftovers writes down which keys of the layout are nothing in the store.
func (a *adoption) noteLeftovers() error {
	stays := map[string]bool{a.types(): true}
	for k := range a.from.snap.Values {
		name, _ := a.value(k)
		stays[name] = true
	}
	for _, typ := range a.from.snap.Types {
		stays[a.Store.pool(typ)] = true
	}
	for kind := kindConfig; kind <= kindRobin; kind++ {
		for part := range slices.Chunk(a.from.keys[kind], chunk) {
			var names []string
			size := 0
			for _, k := range part {
				if !stays[k.name] && !a.from.left[k.name] {
					names = append(names, k.name)
					size += len(k.name)
				}
			}
			if len(names) == 0 {
				continue
			}
			if err := a.add(size, a.client.B().Sadd().Key(a.leftovers()).Member(names...).Build()); err != nil {
				return err
			}
		}
	}
	return a.flush()
}

// removeLeftovers removes the keys that were written down. One that was written
// to since it is a key of the store stays.
func (r *restore) removeLeftovers() error {
	names, err := r.client.Do(r.ctx, r.client.B().Smembers().Key(r.leftovers()).Build()).AsStrSlice()
	if err != nil {
		return readError(err)
	}
	for part := range slices.Chunk(names, chunk) {
		cmds := make(rueidis.Commands, len(part))
		for i, n := range part {
			cmds[i] = r.client.B().Exists().Key(r.ctl(n)).Build()
		}
		for i, res := range r.client.DoMulti(r.ctx, cmds...) {
			written, err := res.AsBool()
			if err != nil {
				return readError(err)
			}
			if written {
				continue
			}
			if err := r.add(len(part[i]), r.client.B().Unlink().Key(part[i]).Build()); err != nil {
				return err
			}
		}
		if err := r.flush(); err != nil {
			return err
		}
	}
	if err := r.wait(); err != nil {
		return err
	}
	return readError(r.client.Do(r.ctx, r.client.B().Unlink().Key(r.leftovers()).Build()).Error())
}

// tidy removes what is left over, where something is.
func (s *Store) tidy(ctx context.Context) error {
	there, err := s.client.Do(ctx, s.client.B().Exists().Key(s.leftovers()).Build()).AsBool()
	if err != nil || !there {
		return readError(err)
	}
	r, err := s.takeLock(ctx)
	if err != nil {
		return err
	}
	defer r.release()
	return r.removeLeftovers()
}
