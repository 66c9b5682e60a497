package server

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

const (
	typeEvents = "text/event-stream"

	headerLastEvent = "Last-Event-ID"
)

var eventsType = []string{typeEvents}

// Times of a stream.
const (
	// heartbeat is how often a stream says something, so that either side notices
	// when the other is gone.
	heartbeat = 5 * time.Second
	// streamWrite is how long a client may take to take what there is.
	streamWrite = 30 * time.Second
	// streamLife is how long a stream lasts. Whoever comes again shows the key or
	// session again, and goes on where it was.
	streamLife = time.Hour
)

// eventChunk bounds what is written at once.
const eventChunk = 256 << 10

func (s *Server) eventRoutes() []route {
	return []route{{method: http.MethodGet, path: base + "/events", id: "events", summary: "Tell of changes as they are made", tag: "service",
		headers: []headerRule{{name: headerLastEvent, about: "the id of the last event that was read: the stream goes on after it, or begins with resync"}},
		answer: answerRule{kind: linesAnswer, media: typeEvents,
			about: "server-sent events: ready or resync first, then change, each with a change as docs/formats.md has it; end with a problem"},
		handle: s.events}}
}

// stopping is the key of the context under which a request finds the channel
// that is closed when the service is told to stop.
type stopping struct{}

// events streams changes until the client leaves, or may have missed one.
func (s *Server) events(x *exchange) error {
	ctx := x.r.Context()
	r, err := s.hub.join(ctx)
	if err != nil {
		return err
	}
	defer s.hub.leave()
	st := &stream{rc: http.NewResponseController(x.inner), w: x.inner, ring: r}
	last := strings.Join(x.r.Header.Values(headerLastEvent), ",")
	begin := "ready"
	if number, ok := r.follows(last); ok {
		st.next, begin = number, ""
	} else if st.next = r.next(); last != "" {
		begin = "resync"
	}
	x.Header()["Content-Type"] = eventsType
	x.Header()["X-Accel-Buffering"] = []string{"no"} // or nginx would hold events back
	x.began = time.Since(x.start)
	x.WriteHeader(http.StatusOK)
	if x.r.Method == http.MethodHead {
		return nil
	}
	st.begin(begin)
	if err := st.run(ctx, s.heartbeat); err != nil {
		st.event("end", "", problemOf(err).encode())
		st.flush()
	}
	return nil
}

// A stream is what one client is sent.
type stream struct {
	rc   *http.ResponseController
	w    http.ResponseWriter
	ring *ring
	next uint64 // number of the event that is to be sent
	buf  bytes.Buffer
	gone bool // the client
}

// begin says what the client has to do first, where it has to do anything. What
// was acknowledged before it is read is in the store.
func (st *stream) begin(event string) {
	if event == "" {
		st.buf.WriteString(":\n\n") // an answer, all the same
	} else {
		st.event(event, st.ring.id(st.next-1), []byte("{}"))
	}
	st.flush()
}

// event adds an event to what is sent next. data is JSON on one line.
func (st *stream) event(name, id string, data []byte) {
	if id != "" {
		st.buf.WriteString("id: " + id + "\n")
	}
	st.buf.WriteString("event: " + name + "\ndata: ")
	st.buf.Write(bytes.TrimRight(data, "\n"))
	st.buf.WriteString("\n\n")
}

func (st *stream) flush() {
	if st.gone {
		return
	}
	// A connection without deadlines does not mind.
	_ = st.rc.SetWriteDeadline(time.Now().Add(streamWrite))
	_, err := st.w.Write(st.buf.Bytes())
	if err == nil {
		err = st.rc.Flush()
	}
	st.gone = err != nil
	st.buf.Reset()
}

// run sends events until the client is gone or has to come again, or returns why
// it has to load what it keeps.
func (st *stream) run(ctx context.Context, every time.Duration) error {
	beat := time.NewTicker(every)
	defer beat.Stop()
	life := time.NewTimer(streamLife)
	defer life.Stop()
	stop, _ := ctx.Value(stopping{}).(<-chan struct{})
	for !st.gone {
		more, err := st.send()
		if err != nil {
			return err
		}
		select {
		case <-more:
		case <-beat.C:
			st.buf.WriteString(":\n\n")
			st.flush()
		case <-st.ring.done:
			if _, err := st.send(); err != nil {
				return err
			}
			return st.ring.err
		case <-stop:
			return poolkeeper.Errorf(poolkeeper.ErrClosed, "the service stops")
		case <-life.C:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// send sends what there is, and returns what is closed when there is more.
func (st *stream) send() (more <-chan struct{}, err error) {
	for !st.gone {
		events, wake, ok := st.ring.from(st.next)
		if !ok {
			return nil, poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the stream is slower than the changes").
				WithHint("ask again, and load what is needed")
		}
		for _, data := range events {
			st.event("change", st.ring.id(st.next), data)
			if st.next++; st.buf.Len() > eventChunk {
				break // what comes now may be gone when this is written
			}
		}
		if more = wake; len(events) == 0 {
			break
		}
		st.flush()
	}
	return more, nil
}
