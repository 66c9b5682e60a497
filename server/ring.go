package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"sync"

	"github.com/poolkeeper/poolkeeper"
)

// Limits of what a ring keeps for streams that are behind, or come again.
const (
	ringEvents = 8192
	ringBytes  = 16 << 20
)

// A ring keeps the last changes of one watch, encoded, in their order. Each
// stream reads it at its own pace: it is the only buffer there is.
type ring struct {
	name  string        // begins the ids of its events, and is that of no other
	ready chan struct{} // closed when the watch is
	done  chan struct{} // closed when it has ended, with err
	err   error
	stop  context.CancelFunc

	mu     sync.Mutex
	first  uint64 // number of the first event that is kept
	events [][]byte
	bytes  int
	wake   chan struct{} // closed with the next event
}

func newRing(stop context.CancelFunc) *ring {
	var name [8]byte
	rand.Read(name[:]) // never fails
	return &ring{name: hex.EncodeToString(name[:]), ready: make(chan struct{}), done: make(chan struct{}), stop: stop, first: 1, wake: make(chan struct{})}
}

// take keeps a change that the watch tells.
func (r *ring) take(c poolkeeper.Change) {
	if c.Kind == poolkeeper.ChangeReady {
		close(r.ready)
		return
	}
	data, err := json.Marshal(c)
	if err != nil { // no change of a Backend is like that
		r.stop()
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.events) > 0 && (len(r.events) == ringEvents || r.bytes+len(data) > ringBytes) {
		r.bytes -= len(r.events[0])
		r.events, r.first = r.events[1:], r.first+1
	}
	r.events, r.bytes = append(r.events, data), r.bytes+len(data)
	close(r.wake)
	r.wake = make(chan struct{})
}

// end says why the watch has ended.
func (r *ring) end(err error) {
	r.err = err
	close(r.done)
}

func (r *ring) id(number uint64) string { return r.name + "-" + strconv.FormatUint(number, 10) }

// next is the number of the event that comes next.
func (r *ring) next() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.first + uint64(len(r.events))
}

// follows finds the event after the one with an id; ok is false where that is
// none of this ring, or what follows it is no longer kept.
func (r *ring) follows(id string) (number uint64, ok bool) {
	text, ok := strings.CutPrefix(id, r.name+"-")
	n, err := strconv.ParseUint(text, 10, 64)
	if !ok || err != nil {
		return 0, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return n + 1, n+1 >= r.first && n < r.first+uint64(len(r.events))
}

// from returns events from a number on, and what is closed when there are more.
// ok is false where they are no longer kept.
func (r *ring) from(number uint64) (events [][]byte, more <-chan struct{}, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if number < r.first {
		return nil, nil, false
	}
	return r.events[number-r.first:], r.wake, true
}
