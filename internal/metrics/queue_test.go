package metrics

import (
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// What waits for the store shows, and so does the mode.
func TestQueueMeasures(t *testing.T) {
	b := &measured{Backend: memstore.New(nil)}
	m := New("")
	m.Wrap(b)
	b.is.Queue = &poolkeeper.QueueMeasures{
		QueueInfo: poolkeeper.QueueInfo{Ops: 1, Frozen: 2, Aside: 3, Bytes: 4, Dropped: 5, Lost: 10},
		Mode:      poolkeeper.ModeDegraded, InMode: 6 * time.Second, Queued: 7, Settled: 8,
		Transitions: map[poolkeeper.Mode]uint64{poolkeeper.ModeDegraded: 9},
	}
	wantMetrics(t, scrape(t, m), map[string]float64{
		"poolkeeper_queue_ops": 1, "poolkeeper_queue_requests": 2, "poolkeeper_queue_aside": 3, "poolkeeper_queue_bytes": 4,
		"poolkeeper_queue_dropped_total": 5, "poolkeeper_queue_lost_total": 10, "poolkeeper_mode_seconds": 6, "poolkeeper_queue_queued_total": 7, "poolkeeper_queue_settled_total": 8,
		`poolkeeper_mode{mode="degraded"}`: 1, `poolkeeper_mode{mode="online"}`: 0, `poolkeeper_mode_transitions_total{mode="degraded"}`: 9,
	})
}
