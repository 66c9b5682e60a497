package open

import (
	"testing"
	"time"
)

// SetPatience sets how long a start hears nothing of Redis before it goes on.
func SetPatience(tb testing.TB, d time.Duration) {
	was := patience
	patience = d
	tb.Cleanup(func() { patience = was })
}
