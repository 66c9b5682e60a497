package redisstore

import "github.com/poolkeeper/poolkeeper"

// retired stands in incoming where a lane takes no calls any more.
var retired call

func (l *lane) isRetired() bool { return l.incoming.Load() == &retired }

// retire takes a lane that has nothing to remember out of the store, so that a
// key that was only asked for, and never written to, costs nothing: no batch of
// it has used a sequence, nor was sent twice, and nobody is in it. The front is
// held, and stays so. A call is pushed before the lane is retired, and keeps it
// from that; or after, and goes to the next lane of the key, which begins where
// this one has: at no sequence.
func (l *lane) retire() bool {
	if l.flying.Load() != 0 || len(l.queue) > 0 || l.held.Load() {
		return false
	}
	// Nothing is in flight, and nothing can be: the senders are nobody's.
	for i, writer := range []string{l.s.writer, l.s.second} {
		if s := &l.senders[i]; s.seq > 0 || s.resent || s.writer != writer {
			return false
		}
	}
	l.mu.Lock()
	keeps := len(l.tail.stretches) > 0 // what another process had sent
	l.mu.Unlock()
	if keeps {
		return false
	}
	if !l.incoming.CompareAndSwap(nil, &retired) {
		return false
	}
	l.forgotten()
	return true
}

// forgotten takes a retired lane off the lists.
func (l *lane) forgotten() {
	l.s.lanes.CompareAndDelete(l.key, l)
	if k, ok := l.s.parse(l.key); ok && k.Kind == poolkeeper.KindPool {
		l.s.pools.CompareAndDelete(k.Type, l)
	}
}

// push puts calls into the lane, linked from the newest to the oldest, or into the
// next lane of the key where this one was retired, and returns the one that has
// them.
func (l *lane) push(newest, oldest *call) *lane {
	for {
		oldest.next = l.incoming.Load()
		if oldest.next == &retired {
			l.forgotten() // whoever retired it may not have come to that yet
			l = l.s.lane(l.key)
			continue
		}
		if l.incoming.CompareAndSwap(oldest.next, newest) {
			return l
		}
	}
}
