package metrics

import (
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// viewer is a backend that keeps a copy.
type viewer struct {
	*measured
	view *poolkeeper.View
}

func (v *viewer) View() *poolkeeper.View { return v.view }

func TestCopyMeasures(t *testing.T) {
	b := &viewer{measured: &measured{Backend: memstore.New(nil)}, view: poolkeeper.NewView(nil, nil)}
	m := New("")
	wrapped := m.Wrap(b)
	if v, ok := wrapped.(poolkeeper.Viewer); !ok || v.View() != b.view {
		t.Error("the layer hides the copy")
	}
	if got := scrape(t, m); got["poolkeeper_copy_changes_total"] != 0 || len(got) == 0 {
		t.Errorf("without a copy: %v", got)
	}
	b.is.Copy = &poolkeeper.CopyMeasures{Changes: 1, Known: 2, Gaps: 3, Lost: 4, Failed: 5, Older: 6, Waits: 7, Waited: 8 * time.Second, Reloads: map[string]uint64{"gap": 9}}
	got := scrape(t, m)
	wantMetrics(t, got, map[string]float64{
		"poolkeeper_copy_changes_total": 1, "poolkeeper_copy_changes_known_total": 2, "poolkeeper_copy_gaps_total": 3, "poolkeeper_copy_lost_total": 4,
		"poolkeeper_copy_loads_failed_total": 5, "poolkeeper_copy_older_total": 6, "poolkeeper_copy_waits_total": 7, "poolkeeper_copy_waited_seconds_total": 8,
		`poolkeeper_copy_reloads_total{cause="gap"}`: 9,
	})
	if _, ok := got["poolkeeper_copy_age_seconds"]; ok {
		t.Error("a copy that was not made has an age")
	}
	b.is.Copy.Made, b.is.Copy.Age = true, 3*time.Second
	wantMetrics(t, scrape(t, m), map[string]float64{"poolkeeper_copy_age_seconds": 3})
}
