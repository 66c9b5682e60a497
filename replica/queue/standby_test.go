package queue_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/replica/queue"
)

// TestStandbyKeepsNobody: what is served until the store is reached may take long to be
// read. Meanwhile the Queue says how it is, and takes what can wait.
func TestStandbyKeepsNobody(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]bool{"away": true, "empty": false} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			url := r.srv.SocketURL()
			if r.srv.FlushAll(); away {
				url = "unix://" + t.TempDir() + "/nobody"
			}
			var made atomic.Pointer[queue.Queue]
			asked, answered := make(chan struct{}, 1), make(chan struct{})
			opts := &queue.Options{Patience: time.Minute, FallbackAfter: time.Millisecond, Standby: func() bool {
				q := made.Load()
				if q == nil {
					return true
				}
				select {
				case asked <- struct{}{}:
				default:
				}
				select {
				case <-answered:
				case <-t.Context().Done():
				}
				return true
			}}
			q := r.queue(url, t.TempDir(), opts)
			made.Store(q)
			<-asked // the look after that of New
			done := make(chan poolkeeper.Mode, 1)
			go func() {
				if res := q.Apply(t.Context(), useOp("a", 1))[0]; res.Status != poolkeeper.Queued {
					t.Errorf("a write: %+v", res)
				}
				done <- q.Mode()
			}()
			select {
			case mode := <-done:
				if away != (mode == poolkeeper.ModeDegraded || mode == poolkeeper.ModeFallback) {
					t.Errorf("the mode is %s", mode)
				}
			case <-time.After(30 * time.Second):
				t.Error("it keeps others waiting for what is read")
			}
			close(answered)
		})
	}
}
