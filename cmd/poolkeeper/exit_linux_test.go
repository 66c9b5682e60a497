package main

import (
	"os"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// TestFullOutput writes results to where there is no room, and to where nobody reads.
func TestFullOutput(t *testing.T) {
	dev, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	const want = "poolkeeper: the result cannot be written to standard output: no space left on device\n" +
		"hint: make room there, or send it elsewhere; what the command was to do is done\n"
	for _, args := range [][]string{{"version"}, {"version", "--json"}, {"completion", "bash"}, {"--help"}} {
		var errOut strings.Builder
		code := run(t.Context(), args, nil, strings.NewReader(""), dev, &errOut)
		if said := errOut.String(); code != poolkeeper.ExitUnavailable || said != want && args[len(args)-1] != "--json" || !strings.Contains(said, "no space left") {
			t.Errorf("%q: exit code %d: %s", args, code, said)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	var errOut strings.Builder
	if code := run(t.Context(), []string{"version"}, nil, strings.NewReader(""), w, &errOut); code != poolkeeper.ExitUnavailable || errOut.String() != "" {
		t.Errorf("exit code %d where nobody reads: %s", code, &errOut)
	}
}
