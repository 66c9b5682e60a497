package redistest

import (
	"fmt"
	"testing"
)

// failer is where a helper without an error result reports: the test that
// started the server, or a panic when there is none.
type failer struct{ tb testing.TB }

func (f *failer) fatalf(format string, args ...any) {
	if f.tb == nil {
		panic("redistest: " + fmt.Sprintf(format, args...))
	}
	f.tb.Helper()
	f.tb.Fatalf("redistest: "+format, args...)
}

func (f *failer) helper() {
	if f.tb != nil {
		f.tb.Helper()
	}
}
