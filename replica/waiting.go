package replica

import (
	"context"
	"sync"
	"time"
)

// patience is how long a change that was answered may take to be told, before the
// pool is loaded for it.
const patience = 100 * time.Millisecond

// waiting are those who wait until readers see a revision of a pool.
type waiting struct {
	mu sync.Mutex
	// at :: number of the revision → closed when readers see it
	at    map[uint64]chan struct{}
	timed bool
}

// join returns what is closed when a number is reached. late is called when that
// takes long, with the highest number that is waited for, as long as it returns
// true.
func (w *waiting) join(n uint64, late func(n uint64) bool) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	ch := w.at[n]
	if ch == nil {
		if w.at == nil {
			w.at = map[uint64]chan struct{}{}
		}
		ch = make(chan struct{})
		w.at[n] = ch
	}
	if !w.timed {
		w.timed = true
		w.timer(late)
	}
	return ch
}

// timer looks after a while whether those who wait now still do.
func (w *waiting) timer(late func(n uint64) bool) {
	most := uint64(0)
	for n := range w.at {
		most = max(most, n)
	}
	time.AfterFunc(patience, func() {
		w.mu.Lock()
		stuck := false
		for n := range w.at {
			stuck = stuck || n <= most
		}
		w.mu.Unlock()
		if stuck && !late(most) {
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.timed = len(w.at) > 0; w.timed {
			w.timer(late)
		}
	})
}

// reach wakes those who wait for a number up to this one.
func (w *waiting) reach(n uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for at, ch := range w.at {
		if at <= n {
			close(ch)
			delete(w.at, at)
		}
	}
}

// end wakes all.
func (w *waiting) end() { w.reach(^uint64(0)) }

// reach notes that readers see a revision.
func (f *followed) reach(n uint64) {
	if n > f.reached.Load() {
		f.reached.Store(n)
		f.waiting.reach(n)
	}
}

// await waits until readers see a revision of a pool that the source has
// answered, or until it cannot be loaded.
func (r *Replica) await(ctx context.Context, f *followed, n uint64) {
	if f.reached.Load() >= n {
		return
	}
	ch := f.waiting.join(n, func(n uint64) bool { return r.late(f, n) })
	if f.reached.Load() >= n { // it was on its way
		f.waiting.reach(n)
		return
	}
	r.mu.Lock()
	f.heard = max(f.heard, n)
	if !r.up {
		r.load(f, causeDeaf)
	}
	r.mu.Unlock()
	from := time.Now()
	select {
	case <-ch:
	case <-ctx.Done():
	case <-r.ctx.Done():
	}
	r.counts.waits.Add(1)
	r.counts.waited.Add(int64(time.Since(from)))
}

// owe notes that readers are to see a revision of a pool, which was answered to a
// writer.
func (f *followed) owe(n uint64) {
	for {
		was := f.owed.Load()
		if was >= n || f.owed.CompareAndSwap(was, n) {
			return
		}
	}
}

// pay waits until readers see what is owed to them. Where the store does not give
// it, as it has gone away since it answered, they go on with what there is.
func (r *Replica) pay(ctx context.Context, f *followed) {
	n := f.owed.Load()
	if f.reached.Load() >= n {
		return
	}
	limit, cancel := context.WithTimeout(ctx, 3*patience)
	defer cancel()
	r.await(limit, f, n)
	if f.reached.Load() < n && ctx.Err() == nil {
		f.owed.CompareAndSwap(n, 0)
	}
}

// late loads a pool of which a change was answered and not told. It returns false
// where the Replica was closed.
func (r *Replica) late(f *followed, n uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.reached.Load() < n {
		f.heard = max(f.heard, n)
		r.load(f, causeLate)
	}
	return r.ctx.Err() == nil
}

// giveUp wakes writers that wait for what will not be told.
func (r *Replica) giveUp() {
	for _, f := range *r.pools.Load() {
		f.waiting.mu.Lock()
		most := uint64(0)
		for n := range f.waiting.at {
			most = max(most, n)
		}
		f.waiting.mu.Unlock()
		if most > 0 {
			f.heard = max(f.heard, most)
			r.load(f, causeDeaf)
		}
	}
}
