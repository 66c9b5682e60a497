package replica

import (
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// believed is how long a store that was set back may take to be mended by the
// instances that have what it lost. After that it is as it is.
const believed = 5 * time.Second

// setBack notes that the store has something older than the copy, which is kept, and
// looks again later. It returns false where that has lasted long enough: then the copy
// follows the store, of which what is new could not be told from what is old
// otherwise. The mutex is held.
func (r *Replica) setBack(key poolkeeper.Key) bool {
	now := r.opts.Now()
	since, known := r.older[key]
	switch {
	case !known:
		r.older[key] = now
		r.counts.older.Add(1)
		r.opts.Logger.Error("the store has something older than the copy, which is kept for now", "key", key.String())
		r.spawn(func() { r.lookAgain(key) })
	case now.Sub(since) >= believed:
		r.opts.Logger.Error("the store was set back: the copy follows it", "key", key.String())
		delete(r.older, key)
		return false
	}
	return true
}

func (r *Replica) lookAgain(key poolkeeper.Key) {
	if !r.sleep(believed) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, still := r.older[key]; !still || !r.up {
		delete(r.older, key) // it is found again when changes are told again
		return
	}
	if key.Kind == poolkeeper.KindPool {
		r.load(r.followed(key.Type), causeCheck)
		return
	}
	r.want(key, 0, nil)
}
