package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

var _ poolkeeper.Watcher = (*Client)(nil)

const (
	// eventIdle is how long a stream of events may be silent, in which the service
	// says something every 5 s, before it counts as lost.
	eventIdle = 15 * time.Second
	// maxEvent is the longest line of one.
	maxEvent = 16 << 20
)

// Watch implements poolkeeper.Watcher. A connection that is lost is made again,
// and the watch goes on where the service still has what came after.
func (c *Client) Watch(ctx context.Context, fn func(poolkeeper.Change)) error {
	if err := c.enter(); err != nil {
		return poolkeeper.Annotate(err, "watch", "store")
	}
	c.leave() // Close ends a watch, but does not wait for its reader
	if err := ctx.Err(); err != nil {
		return err
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	w := &watch{c: c, fn: fn}
	err := w.run(inner)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case c.life.Err() != nil:
		err = poolkeeper.Errorf(poolkeeper.ErrClosed, "client is closed")
	}
	return poolkeeper.Annotate(err, "watch", "store")
}

// A watch is one call of Watch: as many streams as it takes.
type watch struct {
	c     *Client
	fn    func(poolkeeper.Change)
	begun bool
	last  string // id of the last event
	ended error  // why no other stream can go on
}

func (w *watch) run(ctx context.Context) error {
	p := w.c.patience()
	for {
		before := w.last
		f := w.stream(ctx)
		switch {
		case w.ended != nil:
			return w.ended
		case ctx.Err() != nil:
			return ctx.Err()
		case f != nil && !f.again:
			return f.err
		}
		if w.last != before { // it was of use
			p = w.c.patience()
		}
		if !p.pause(ctx) {
			if f == nil {
				return errStream
			}
			return asUnavailable(f.err)
		}
	}
}

var errStream = poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the service has ended the stream of events")

// stream reads one stream to its end.
func (w *watch) stream(ctx context.Context) *fault {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var silent atomic.Bool
	idle := time.AfterFunc(w.c.idle, func() {
		silent.Store(true)
		cancel()
	})
	defer idle.Stop()
	header := http.Header{"Accept": {"text/event-stream"}}
	if w.last != "" {
		header.Set("Last-Event-ID", w.last)
	}
	f := w.c.attemptWith(ctx, http.MethodGet, "/events", header, nil, func(r io.Reader) error {
		lines := bufio.NewScanner(r)
		lines.Buffer(make([]byte, 4096), maxEvent)
		var e event
		for lines.Scan() {
			idle.Stop() // the time that fn takes does not count
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "id":
				e.id = value
			case "event":
				e.name = value
			case "data":
				e.data = value
			case "":
				if w.take(e); w.ended != nil {
					cancel() // what follows is not waited for
				}
				if ctx.Err() != nil {
					return ctx.Err()
				}
				e = event{}
			}
			idle.Reset(w.c.idle)
		}
		if errors.Is(lines.Err(), bufio.ErrTooLong) {
			w.ended = poolkeeper.Errorf(poolkeeper.ErrUnavailable, "an event is longer than %d bytes", maxEvent)
		}
		return lines.Err()
	})
	if silent.Load() {
		return &fault{err: poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the service has been silent for %v", w.c.idle), again: true}
	}
	return f
}

// An event is a server-sent one; one without a name says only that the service
// is there.
type event struct{ name, id, data string }

func (w *watch) take(e event) {
	switch e.name {
	case "ready", "resync":
		if w.begun {
			w.ended = poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the service no longer has what came after the last event").
				WithHint("watch again, and load what is needed")
			return
		}
		w.begun = true
		w.fn(poolkeeper.Change{Kind: poolkeeper.ChangeReady})
	case "change":
		var c poolkeeper.Change
		if err := json.Unmarshal([]byte(e.data), &c); err != nil || !w.begun {
			w.ended = poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the service has told something that cannot be read").
				WithHint("upgrade this program, where the service is newer")
			return
		}
		w.fn(c)
	case "end":
		w.ended = endOf(e.data)
		return
	}
	if e.id != "" {
		w.last = e.id
	}
}

// endOf is the error that the service has ended a stream with. What is of the
// service's own contexts and life is an outage here.
func endOf(data string) error {
	var p problem
	_ = json.Unmarshal([]byte(data), &p) // what cannot be read has no code
	class, _ := poolkeeper.ClassOfCode(p.Code)
	switch class.Err {
	case nil, context.Canceled, context.DeadlineExceeded, poolkeeper.ErrClosed, poolkeeper.ErrInternal, poolkeeper.ErrIndeterminate:
		class.Err = poolkeeper.ErrUnavailable
	}
	if p.Detail == "" {
		p.Detail = errStream.Detail
	}
	return &poolkeeper.Error{Err: class.Err, Detail: p.Detail, Hint: p.Hint}
}
