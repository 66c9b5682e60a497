package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// Serve answers on listeners, which it closes, until ctx ends. Then it stops
// accepting, answers the requests that were accepted, and returns nil;
// [context.DeadlineExceeded] where some were still not answered after the
// grace.
func (s *Server) Serve(ctx context.Context, lns ...net.Listener) error {
	if !s.hasKey {
		closeAll(lns)
		return poolkeeper.Errorf(poolkeeper.ErrInvalid, "the service has no API key of at least %d characters", MinKey).
			WithHint("set POOLKEEPER_API_KEY")
	}
	var conns connections
	hs := &http.Server{
		// OPTIONS * is answered as all else is: by nobody without a key.
		DisableGeneralOptionsHandler: true,

		Handler:           conns.lastAnswers(s.Handler()),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		ConnState: func(conn net.Conn, state http.ConnState) {
			conns.note(conn, state)
			s.clients.state(conn, state)
		},
		// A request that was accepted is not cut off by the signal to stop; a stream
		// is told.
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.WithoutCancel(ctx), stopping{}, ctx.Done())
		},
	}
	failed := make(chan error, len(lns))
	for _, ln := range lns {
		go func() { failed <- hs.Serve(ln) }()
	}
	ended := 0
	var err error
	select {
	case err = <-failed: // one listener is gone: so are the others
		ended++
	case <-ctx.Done():
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.grace)
	defer cancel()
	closeAll(lns) // first: whoever is sent away must not come back
	conns.stopping.Store(true)
	conns.leave(min(s.linger, s.grace/2))
	// A listener that net/http had not seen to be closed it closes once more.
	if down := hs.Shutdown(bound); down != nil && !errors.Is(down, net.ErrClosed) {
		err = errors.Join(err, down, hs.Close())
	}
	for ; ended < len(lns); ended++ {
		<-failed
	}
	return err
}

func closeAll(lns []net.Listener) {
	for _, ln := range lns {
		_ = ln.Close()
	}
}

// lastRequests is how long a connection that stays open may still bring a request
// once the service is told to stop.
const lastRequests = 250 * time.Millisecond

// connections are those of a service that is going to stop. net/http closes what
// is idle, and a request that was just under way then is neither answered nor
// refused. So each connection is told with an answer that it was the last one, and
// only those that are quiet for a while are closed without.
type connections struct {
	stopping atomic.Bool
	mu       sync.Mutex
	open     map[net.Conn]bool
	empty    chan struct{} // closed where none is open any more, once leave waits
}

func (c *connections) note(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		if c.open == nil {
			c.open = map[net.Conn]bool{}
		}
		c.open[conn] = true
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
		if len(c.open) == 0 && c.empty != nil {
			close(c.empty)
			c.empty = nil
		}
	}
}

// lastAnswers says with each answer that it is the last one, once the service stops.
func (c *connections) lastAnswers(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.stopping.Load() {
			w.Header()["Connection"] = []string{"close"}
		}
		h.ServeHTTP(w, r)
	})
}

// leave waits until all connections are gone, or for a time.
func (c *connections) leave(d time.Duration) {
	c.mu.Lock()
	gone := make(chan struct{})
	if len(c.open) == 0 {
		close(gone)
	} else {
		c.empty = gone
	}
	c.mu.Unlock()
	select {
	case <-gone:
	case <-time.After(d):
	}
}
