package main

import (
	"os"
	"runtime/debug"
)

// frugal makes a command that holds a whole store, and a directory beside it,
// collect its garbage in time rather than grow. What is in use is not limited by
// it. GOMEMLIMIT, where it is set, stays.
func frugal() {
	if os.Getenv("GOMEMLIMIT") == "" {
		const soft = 768 << 20
		debug.SetMemoryLimit(soft)
	}
}
