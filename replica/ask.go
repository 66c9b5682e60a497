package replica

import "github.com/poolkeeper/poolkeeper"

// An ask is a key that is to be loaded.
type ask struct {
	done chan struct{} // closed when it was, or could not be
	// need is the revision that the value must have; 0 where it is to be loaded
	// whatever it has.
	need uint64
	told *poolkeeper.Change
}

// ask has a key loaded that is no pool; c is the change that told of it, if any.
func (r *Replica) ask(key poolkeeper.Key, c *poolkeeper.Change) {
	need := uint64(0)
	if c != nil {
		r.counts.changes.Add(1)
		if need = c.After.Number; r.has(key, c.After) {
			r.counts.known.Add(1)
			return
		}
	}
	r.want(key, need, c)
}

// has reports whether the value of a key is as new as a revision. What is not
// there may be newer or older.
func (r *Replica) has(key poolkeeper.Key, rev poolkeeper.Revision) bool {
	d, ok := r.values.get(key)
	return ok && !rev.IsZero() && (d.Revision.Number > rev.Number || d.Revision == rev)
}

// want has a key loaded, unless its value is as new as need by then.
func (r *Replica) want(key poolkeeper.Key, need uint64, c *poolkeeper.Change) *ask {
	a := r.asked[key]
	if a == nil {
		a = &ask{done: make(chan struct{}), need: need}
		r.asked[key] = a
	}
	if need == 0 || a.need == 0 {
		a.need = 0
	} else {
		a.need = max(a.need, need)
	}
	if c != nil {
		told := *c
		a.told = &told
	}
	if !r.asking {
		r.asking = true
		r.spawn(r.answer)
	}
	return a
}

// mostAsked is how many keys are loaded at once.
const mostAsked = 500

// answer loads what is asked, until nothing is.
func (r *Replica) answer() {
	for tries := 0; ; {
		r.mu.Lock()
		batch := r.take()
		if len(batch) == 0 || r.ctx.Err() != nil {
			r.asking = false
			r.mu.Unlock()
			return
		}
		turn := r.turn
		r.mu.Unlock()

		err := r.answerBatch(batch)
		if err == nil {
			tries = 0
			continue
		}
		r.mu.Lock()
		for key := range batch {
			r.failing[key] = true
		}
		r.failed(err)
		if !r.up || r.turn != turn { // all is asked again when changes are told again
			r.asking = len(r.asked) > 0
			stop := !r.asking
			r.mu.Unlock()
			if stop {
				return
			}
			continue
		}
		for key, a := range batch {
			r.want(key, a.need, a.told)
		}
		r.mu.Unlock()
		if !r.sleep(backoff(tries, err)) {
			return
		}
		tries++
	}
}

// take takes what is to be loaded next. What has come meanwhile is done.
func (r *Replica) take() map[poolkeeper.Key]*ask {
	batch := map[poolkeeper.Key]*ask{}
	for key, a := range r.asked {
		if len(batch) == mostAsked {
			break
		}
		delete(r.asked, key)
		if d, ok := r.values.get(key); ok && a.need != 0 && d.Revision.Number >= a.need {
			close(a.done)
			continue
		}
		batch[key] = a
	}
	return batch
}

// answerBatch loads some keys. Where they cannot be loaded together each is
// loaded alone, so that one that is damaged leaves the others as good as they are.
func (r *Replica) answerBatch(batch map[poolkeeper.Key]*ask) error {
	keys := make([]poolkeeper.Key, 0, len(batch))
	for key := range batch {
		keys = append(keys, key)
	}
	snap, err := r.source.Load(r.ctx, keys...)
	if err == nil {
		r.mu.Lock()
		r.takeIn(batch, snap)
		r.mu.Unlock()
		return nil
	}
	if isOutage(err) || r.ctx.Err() != nil || len(keys) == 1 {
		for _, a := range batch {
			close(a.done)
		}
		return err
	}
	var last error
	for key, a := range batch {
		if err := r.answerBatch(map[poolkeeper.Key]*ask{key: a}); err != nil {
			last = err
		} else {
			delete(batch, key)
		}
	}
	return last
}
