package redisstore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/redis/rueidis"
)

// restoreLease is how long another restore is kept out after a sign of life.
const restoreLease = 30 * time.Second

// restoreBytes bounds what travels in one round trip of a restore.
const restoreBytes = 4 << 20

// Restore implements poolkeeper.Backend. As nobody reads a store without an
// epoch, everything is written by plain commands, and the epoch last.
func (s *Store) Restore(ctx context.Context, snap *poolkeeper.Snapshot) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		return err
	}
	if snap == nil {
		snap = poolkeeper.NewSnapshot()
	}
	if err := validateSnapshot(snap); err != nil {
		return err
	}
	if err := s.check(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	cause := s.cause
	s.mu.Unlock()
	switch {
	case cause.Epoch != "":
		return errInitialized
	case cause.Problem == errForeign.Detail:
		return errForeign
	case cause.Problem == errEpoch.Detail:
		return errEpoch
	}
	r, err := s.beginRestore(ctx)
	if err != nil {
		return err
	}
	defer r.release()
	if err := r.sign(metaImporting); err != nil {
		return err
	}
	if err := r.clean(); err != nil {
		return err
	}
	if err := r.write(snap); err != nil {
		return err
	}
	return r.commit(snap)
}

// validateSnapshot checks everything before anything is written.
func validateSnapshot(snap *poolkeeper.Snapshot) error {
	for typ, p := range snap.Pools {
		if p == nil {
			continue
		}
		op := poolkeeper.Op{Kind: poolkeeper.OpReplacePool, Key: poolkeeper.PoolKey(typ)}
		for i := range p.Providers {
			op.Providers = append(op.Providers, poolkeeper.ProviderRecord{ID: p.Providers[i].ID, Definition: p.Providers[i].Definition, State: &p.Providers[i].State})
		}
		if err := op.Validate(); err != nil {
			return err
		}
	}
	for k, d := range snap.Values {
		op := poolkeeper.Op{Kind: poolkeeper.OpPut, Key: k, Data: d.Data, ExpiresAt: d.ExpiresAt}
		if err := op.Validate(); err != nil {
			return err
		}
	}
	for _, t := range snap.Types {
		if err := poolkeeper.ValidateType(t); err != nil {
			return err
		}
	}
	return nil
}

var errInitialized = poolkeeper.Errorf(poolkeeper.ErrExists, "the store in Redis is initialised already")

// A restore is one run of it, under a lock and a mark.
type restore struct {
	*Store
	ctx   context.Context
	run   string // also the epoch that the store will have
	mark  string // the field of meta that says so
	cmds  rueidis.Commands
	bytes int
	alive time.Time
	sent  chan error // the outcome of what is on its way, or nil
}

// takeLock keeps others out.
func (s *Store) takeLock(ctx context.Context) (*restore, error) {
	var id [16]byte
	rand.Read(id[:]) // never fails
	r := &restore{Store: s, ctx: ctx, run: hex.EncodeToString(id[:]), alive: time.Now()}
	err := s.client.Do(ctx, s.client.B().Set().Key(s.lock(s.meta())).Value(r.run).Nx().Px(restoreLease).Build()).Error()
	if isNil(err) {
		return nil, poolkeeper.Errorf(poolkeeper.ErrForbidden, "another import into this store is under way").
			WithHint("wait for it; one that died is forgotten after %v", restoreLease)
	}
	if err != nil {
		return nil, readError(err)
	}
	return r, nil
}

func (s *Store) beginRestore(ctx context.Context) (*restore, error) {
	if err := s.mayBegin(ctx); err != nil {
		return nil, err
	}
	r, err := s.takeLock(ctx)
	if err != nil {
		return nil, err
	}
	// Another one may have ended between the look at meta and the lock.
	done, err := s.client.Do(ctx, s.client.B().Hexists().Key(s.meta()).Field(metaEpoch).Build()).AsBool()
	if err != nil || done {
		r.release()
		if err != nil {
			return nil, readError(err)
		}
		return nil, errInitialized
	}
	return r, nil
}

// sign marks the store with the run, so that one that is cut off is seen.
func (r *restore) sign(mark string) error {
	r.mark = mark
	return readError(r.client.Do(r.ctx, r.client.B().Hset().Key(r.Store.meta()).FieldValue().FieldValue(mark, r.run).Build()).Error())
}

// release gives the lock up, if it is still this run's.
func (r *restore) release() {
	_ = r.wait() // nothing of this run comes after its lock is gone
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), r.opts.CommandTimeout)
	defer cancel()
	key := r.lock(r.Store.meta())
	if held, err := r.client.Do(ctx, r.client.B().Get().Key(key).Build()).ToString(); err == nil && held == r.run {
		r.client.Do(ctx, r.client.B().Del().Key(key).Build())
	}
}

// clean removes what a run that was cut off has left: without an epoch, nothing
// else can be there.
func (r *restore) clean() error {
	keep := []string{r.Store.meta(), r.lock(r.Store.meta())}
	var fail error
	err := r.scan(r.ctx, r.prefix, func(names []string) bool {
		for _, n := range names {
			if !slices.Contains(keep, n) {
				if !r.owns(n) { // of a neighbour whose prefix begins with ours
					fail = errForeign
					return false
				}
				if fail = r.add(len(n), r.client.B().Unlink().Key(n).Build()); fail != nil {
					return false
				}
			}
		}
		return true
	})
	if err == nil {
		err = fail
	}
	if err != nil {
		return err
	}
	return r.flush()
}

// add queues a command.
func (r *restore) add(size int, cmd rueidis.Completed) error {
	r.cmds = append(r.cmds, cmd)
	if r.bytes += size; r.bytes > restoreBytes || len(r.cmds) >= 2000 {
		return r.flush()
	}
	return nil
}

func (r *restore) flush() error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if err := r.wait(); err != nil {
		return err
	}
	if err := r.hold(); err != nil {
		return err
	}
	r.send()
	return nil
}

// hold makes sure that the lock is still this run's before it writes, and
// keeps it.
func (r *restore) hold() error {
	key := r.lock(r.Store.meta())
	held, err := r.client.Do(r.ctx, r.client.B().Get().Key(key).Build()).ToString()
	if err != nil && !isNil(err) {
		return readError(err)
	}
	if held != r.run {
		return poolkeeper.Errorf(poolkeeper.ErrConflict, "another import has taken over").WithHint("run it again")
	}
	if time.Since(r.alive) < restoreLease/3 {
		return nil
	}
	r.alive = time.Now()
	return readError(r.client.Do(r.ctx, r.client.B().Pexpire().Key(key).Milliseconds(restoreLease.Milliseconds()).Build()).Error())
}

// owns reports whether a key is one that a restore, or what serves it, writes.
func (r *restore) owns(name string) bool {
	if _, ok := r.parse(name); ok || name == r.typeOrder() || name == r.types() {
		return true
	}
	rest, ok := strings.CutPrefix(name, r.prefix)
	helper, rest, braces := strings.Cut(rest, ":{")
	inner, _, closed := strings.Cut(rest, "}")
	if !ok || !braces || !closed {
		return false
	}
	switch helper {
	case "state", "order", "ctl", "stage", "lock", "recovered", "probe", "journals":
		_, ok := r.parse(inner)
		return ok || inner == r.typeOrder() || inner == r.Store.meta()
	}
	return false
}

func (r *restore) write(snap *poolkeeper.Snapshot) error {
	var refs []poolkeeper.Key
	for k, d := range snap.Values {
		switch {
		case k.Kind == poolkeeper.KindSession && d.ExpiresAt != 0 && d.ExpiresAt <= r.opts.Now().UnixMilli():
			continue
		case k.Kind == poolkeeper.KindTokenRefs:
			refs = append(refs, k)
			continue
		}
		if err := r.putValue(k, d); err != nil {
			return err
		}
	}
	for part := range slices.Chunk(refs, chunk) {
		h, size := r.client.B().Hset().Key(r.tokenRefs()).FieldValue(), 0
		for _, k := range part {
			data := snap.Values[k].Data
			h = h.FieldValue(k.Name, rueidis.BinaryString(data))
			size += len(k.Name) + len(data)
		}
		if err := r.add(size, h.Build()); err != nil {
			return err
		}
	}
	for _, typ := range typesOf(snap) {
		if err := r.pool(typ, snap.Pools[typ], r.Store.pool(typ)); err != nil {
			return err
		}
	}
	if err := r.noteRevisions(snap); err != nil {
		return err
	}
	return r.flush()
}

// putValue writes one value.
func (r *restore) putValue(k poolkeeper.Key, d poolkeeper.Document) error {
	name, field := r.value(k)
	if d.ExpiresAt != 0 {
		ctl := r.ctl(name)
		for _, cmd := range []rueidis.Completed{
			r.client.B().Hset().Key(ctl).FieldValue().FieldValue("epoch", r.run).FieldValue("dead", "1").
				FieldValue("expiry", strconv.FormatInt(d.ExpiresAt, 10)).Build(),
			r.client.B().Pexpireat().Key(ctl).MillisecondsTimestamp(d.ExpiresAt + poolkeeper.AliasLife).Build(),
		} {
			if err := r.add(len(ctl), cmd); err != nil {
				return err
			}
		}
	}
	var cmd rueidis.Completed
	switch {
	case field != "":
		cmd = r.client.B().Hset().Key(name).FieldValue().FieldValue(field, rueidis.BinaryString(d.Data)).Build()
	case d.ExpiresAt != 0:
		cmd = r.client.B().Set().Key(name).Value(rueidis.BinaryString(d.Data)).PxatMillisecondsTimestamp(d.ExpiresAt).Build()
	default:
		cmd = r.client.B().Set().Key(name).Value(rueidis.BinaryString(d.Data)).Build()
	}
	return r.add(len(d.Data)+len(name)+len(field), cmd)
}

// typesOf lists the types of a snapshot: in their order, then any pool that it
// does not name.
func typesOf(snap *poolkeeper.Snapshot) []string {
	var types []string
	for _, t := range append(slices.Clone(snap.Types), slices.Sorted(maps.Keys(snap.Pools))...) {
		if !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	return types
}

// tableField is what the scripts call TABLE.
const tableField = ":no field of a provider, but what makes Redis keep this hash as a table"

// pool writes a pool, its definitions under the name given; without one they are
// there already.
func (r *restore) pool(typ string, p *poolkeeper.Pool, definitions string) error {
	key := r.Store.pool(typ)
	b := r.client.B
	for _, cmd := range []rueidis.Completed{
		b().Lrem().Key(r.typeOrder()).Count(0).Element(typ).Build(),
		b().Rpush().Key(r.typeOrder()).Element(typ).Build(),
		b().Sadd().Key(r.types()).Member(typ).Build(),
		b().Hset().Key(r.ctl(key)).FieldValue().FieldValue("epoch", r.run).Build(),
	} {
		if err := r.add(len(typ)+64, cmd); err != nil {
			return err
		}
	}
	if p == nil {
		return nil
	}
	if len(p.Providers) == 0 { // and is not one that was lost
		if err := r.add(64, b().Hset().Key(r.ctl(key)).FieldValue().FieldValue("empty", "1").Build()); err != nil {
			return err
		}
	}
	at := 0
	for part := range slices.Chunk(p.Providers, chunk) {
		h := b().Hset().Key(definitions).FieldValue()
		z := b().Zadd().Key(r.order(key)).ScoreMember()
		size := 0
		var state []string
		for i := range part {
			pr := &part[i]
			h = h.FieldValue(pr.ID, rueidis.BinaryString(pr.Definition))
			z = z.ScoreMember(float64(at), pr.ID)
			at++
			size += len(pr.Definition) + 2*len(pr.ID)
			lits := pairs(&pr.State)
			for j := 0; j < len(lits); j += 2 {
				state = append(state, pr.ID+":"+lits[j], lits[j+1])
			}
		}
		cmds := []rueidis.Completed{z.Build()}
		if definitions != "" {
			cmds = append(cmds, h.Build())
		}
		if len(state) > 0 {
			cmds = append(cmds, b().Hset().Key(r.ctl(key)).FieldValue().FieldValue("counted", "1").Build())
			s := b().Hset().Key(r.state(key)).FieldValue().FieldValue(tableField, "")
			for j := 0; j < len(state); j += 2 {
				s = s.FieldValue(state[j], state[j+1])
			}
			cmds = append(cmds, s.Build())
		}
		for _, cmd := range cmds {
			if err := r.add(size/len(cmds), cmd); err != nil {
				return err
			}
		}
	}
	return nil
}

// commit makes the store visible.
func (r *restore) commit(snap *poolkeeper.Snapshot) error {
	if err := r.wait(); err != nil {
		return err
	}
	args := []string{r.mark, r.run}
	for _, k := range slices.Sorted(maps.Keys(snap.Meta)) {
		switch k {
		case metaEpoch, metaSchema, metaMinWriter, metaImporting, metaAdopting:
		default:
			args = append(args, k, snap.Meta[k])
		}
	}
	args = append(args, metaSchema, strconv.Itoa(schema), metaMinWriter, strconv.Itoa(schema), metaEpoch, r.run)
	answer, err := commitScript.run(r.ctx, r.client, []string{r.Store.meta()}, args)
	if err != nil {
		f := classify(err)
		if !f.sent {
			return f.err
		}
		// Ask whether it came through.
		now, err := r.client.Do(r.ctx, r.client.B().Hget().Key(r.Store.meta()).Field(metaEpoch).Build()).ToString()
		if err != nil || now != r.run {
			return poolkeeper.Errorf(poolkeeper.ErrIndeterminate, "no answer to the last step of the import").WithHint("run it again")
		}
		answer = "OK"
	}
	switch answer {
	case "OK":
		if err := r.check(context.WithoutCancel(r.ctx)); err != nil {
			r.opts.Logger.Warn("the store was restored, and could not be looked at since", "error", err.Error())
		}
		return nil
	case "EXISTS":
		return poolkeeper.Errorf(poolkeeper.ErrExists, "the store in Redis was initialised meanwhile")
	}
	return poolkeeper.Errorf(poolkeeper.ErrConflict, "another import has taken over").WithHint("run it again")
}
