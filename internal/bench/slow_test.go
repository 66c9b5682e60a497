package bench

import (
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// Of what is slow, the scripts are counted, once.
func TestSlowScripts(t *testing.T) {
	srv := redistest.Start(t)
	side, err := OpenSide(srv.URL(), "t:")
	if err != nil {
		t.Fatal(err)
	}
	defer side.Close(t.Context())
	srv.ConfigSet("slowlog-log-slower-than", "0")
	for _, cmd := range [][]string{{"EVAL", "return 1", "0"}, {"SET", "t:x", "1"}, {"eval", "return 2", "0"}} {
		if _, err := srv.Do(cmd...); err != nil {
			t.Fatal(err)
		}
	}
	srv.ConfigSet("slowlog-log-slower-than", "-1")
	for _, want := range []int{2, 0} {
		if n, err := side.SlowScripts(t.Context()); err != nil || n != want {
			t.Errorf("%d scripts, %v; want %d", n, err, want)
		}
	}
}
