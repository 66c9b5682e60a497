package replica

import (
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// A teller is a source that says itself, in the log too, how it is, as a queue does.
// What keeps the copy from being current is then mostly that, and said already: in one
// line for each transition, which tells more.
type teller interface{ Mode() poolkeeper.Mode }

// lasting is for how long the copy has to be behind, with the source there all the
// time, before that is said beside what the source says.
const lasting = 5 * time.Second

// troubled notes that the copy is not current from now on. The mutex is held, and the
// trouble set.
func (r *Replica) troubled() {
	t, ok := r.source.(teller)
	if !ok {
		r.complain()
		return
	}
	r.opts.Logger.Debug(r.plight(), "error", r.trouble)
	if !r.said && !r.brooding {
		r.brooding = true
		r.spawn(func() { r.brood(t) })
	}
}

// brood says what is wrong once it has lasted, and is not that the source is away.
func (r *Replica) brood(t teller) {
	there := isThere(t)
	for r.sleep(lasting) {
		was := there
		there = isThere(t)
		if !r.broods(was && there) {
			return
		}
	}
}

func (r *Replica) broods(lasted bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.brooding = r.trouble != nil && !lasted; !r.brooding && r.trouble != nil {
		r.complain()
	}
	return r.brooding
}

func isThere(t teller) bool {
	m := t.Mode()
	return m == poolkeeper.ModeOnline || m == poolkeeper.ModeReplaying
}

func (r *Replica) complain() {
	r.said = true
	r.opts.Logger.Warn(r.plight(), "error", r.trouble)
}

// plight is what a trouble means for readers.
func (r *Replica) plight() string {
	switch copied := r.view.Load() != nil; {
	case !r.up && copied:
		return "changes of the store are not heard: reads go on from the copy"
	case !r.up:
		return "changes of the store are not heard, and there is no copy of it yet: reads ask the store"
	case copied:
		return "something of the store cannot be loaded: the copy stays as it is there"
	}
	return "something of the store cannot be loaded, and there is no copy of it yet: reads ask the store"
}

// relieved notes that the copy is current again. The mutex is held.
func (r *Replica) relieved() {
	if r.trouble == nil {
		return
	}
	const text = "the copy is current again"
	if r.said {
		r.opts.Logger.Info(text)
	} else {
		r.opts.Logger.Debug(text)
	}
	r.said, r.trouble = false, nil
}
