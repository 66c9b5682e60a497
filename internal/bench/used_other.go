//go:build !unix

package bench

import "time"

// Used is not known here.
func Used() (cpu time.Duration, peak int64) { return 0, 0 }
