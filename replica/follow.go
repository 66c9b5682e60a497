package replica

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// How long to wait before changes are asked for again. A source that cannot be
// reached is tried often, since what it tells is to be known soon after it is
// back; one that refuses needs somebody to do something first.
const (
	backoffFirst   = 5 * time.Millisecond
	backoffOutage  = 50 * time.Millisecond
	backoffRefused = time.Second
)

func backoff(tries int, err error) time.Duration {
	most := backoffRefused
	if isOutage(err) {
		most = backoffOutage
	}
	d := min(backoffFirst<<min(tries, 10), most)
	return d/2 + rand.N(d/2)
}

// follow watches the source as long as the Replica is open.
func (r *Replica) follow() {
	for tries := 0; ; tries++ {
		err := r.source.Watch(r.ctx, r.change)
		if r.ctx.Err() != nil {
			r.mu.Lock()
			r.deafen(poolkeeper.ErrClosed)
			r.mu.Unlock()
			return
		}
		if r.lost(err) {
			tries = 0
		}
		timer := time.NewTimer(backoff(tries, err))
		select {
		case <-timer.C:
		case <-r.poke:
			tries = 0
		case <-r.ctx.Done():
		}
		timer.Stop()
	}
}

// lost notes that changes are not told any more, and why. It returns whether
// they were.
func (r *Replica) lost(err error) (was bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was, r.up = r.up, false
	fresh := r.trouble == nil || was
	if r.trouble = err; fresh {
		r.troubled()
	}
	if r.since.IsZero() {
		r.since = r.opts.Now()
	}
	r.turn++ // what is being loaded is not enough any more
	r.surveying = false
	if r.view.Load() == nil {
		r.following.Store(false) // what is read is asked of the source
	}
	if was {
		r.counts.lost.Add(1)
	}
	r.giveUp()
	r.deafen(errDeaf)
	if !r.stands(err) && (r.view.Load() == nil || !r.tried) {
		r.attempted()
	}
	return was
}

// attempted wakes those who wait until the copy is made.
func (r *Replica) attempted() {
	r.tried = true
	close(r.attempt)
	r.attempt = make(chan struct{})
}

// change takes one change in. The source calls it for one after the other.
func (r *Replica) change(c poolkeeper.Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch c.Kind {
	case poolkeeper.ChangeReady:
		r.ready()
	case poolkeeper.ChangeTypes:
		r.ask(poolkeeper.TypesKey, &c)
	case poolkeeper.ChangeValue:
		if c.Key.Kind == poolkeeper.KindFile { // which the copy does not have
			r.counts.changes.Add(1)
			r.tell(c)
			return
		}
		r.ask(c.Key, &c)
	default:
		if c.Key.Kind == poolkeeper.KindPool {
			r.poolChanged(r.followed(c.Key.Type), c)
		}
	}
}

// ready begins to compare everything with the source, from which changes are told
// now. What it tells from here on is kept for each pool until that is done.
func (r *Replica) ready() {
	r.turn++
	r.up, r.surveying = true, true
	r.following.Store(true)
	for _, f := range *r.pools.Load() {
		r.begin(f)
	}
	clear(r.failing)
	r.owed[poolkeeper.TypesKey] = true // and the others, when it is known which store it is
	turn := r.turn
	r.spawn(func() { r.survey(turn) })
}

// settled looks whether the copy is all that the source has told.
func (r *Replica) settled() {
	if !r.up || r.surveying || r.loading > 0 || len(r.owed) > 0 || len(r.failing) > 0 {
		return
	}
	r.copied = true
	if r.view.Load() == nil || !r.since.IsZero() {
		r.relieved()
		r.since = time.Time{}
		if r.view.Load() == nil {
			r.show()
			r.layOverLocked()
			r.attempted()
		} else if !r.tried {
			r.attempted()
		}
	}
}

// failed notes that something could not be loaded, which is tried again.
func (r *Replica) failed(err error) {
	r.counts.failed.Add(1)
	if r.since.IsZero() {
		r.since = r.opts.Now()
	}
	fresh := r.trouble == nil
	if r.trouble = err; fresh {
		r.troubled()
	}
	if !r.stands(err) && r.view.Load() == nil {
		r.attempted()
	}
}

// show lets readers see the pools as they are now. The first time it is done
// when everything was loaded.
func (r *Replica) show() {
	all := *r.pools.Load()
	pools := make(map[string]*poolkeeper.PoolView, len(all))
	types := make([]string, 0, len(all))
	for _, typ := range r.types {
		if f := all[typ]; f != nil && f.view != nil {
			pools[typ] = r.overlaid(typ, f.view)
			types = append(types, typ)
		}
	}
	var fresh []string // of which the store has nothing yet
	for key, ov := range r.over.keys {
		if key.Kind == poolkeeper.KindPool && ov.view != nil && pools[key.Type] == nil {
			pools[key.Type] = ov.view
			fresh = append(fresh, key.Type)
		}
	}
	slices.Sort(fresh)
	types = append(types, fresh...)
	r.view.Store(poolkeeper.NewView(types, pools))
}

// reshow is show once there was a first time.
func (r *Replica) reshow() {
	if r.view.Load() != nil {
		r.show()
	}
}
