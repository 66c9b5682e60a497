package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// A refusal is a command line or a request that must be refused.
type refusal struct {
	// A command line: its environment beside that of the refuser, and stdin.
	args  []string
	env   map[string]string
	stdin string
	// prints says that the command has a result all the same.
	prints bool

	// A request to the service.
	method, path string
	header       map[string]string
	body         string
	key          string // "" is the right one; "none" is no header

	code  string // of the table of errors
	state int    // the status, where it is not that of the code
	names string // what the error must name
}

// planted is a secret that stands in refused input of all kinds.
const planted = "FAKE-planted-where-it-does-not-belong"

// spread takes a third of a table of subjects and faults, so that each subject
// meets some faults and each fault some subjects.
func spread(table [][]refusal) []refusal {
	var rows []refusal
	for i, subject := range table {
		for j := range subject {
			if (i+j)%3 == 0 {
				rows = append(rows, subject[j])
			}
		}
	}
	return rows
}

// minRefusals keeps the table from shrinking unnoticed.
const minRefusals = 900

// TestRefusals runs the whole table: each row has the error that is
// documented, names the thing, and changes nothing, neither in the store nor in
// a directory. No secret is in any of the output.
func TestRefusals(t *testing.T) {
	t.Parallel()
	b := newRefuser(t)
	commands, requests := b.commandRows(), b.requestRows()
	rows := append(commands, requests...)
	if len(rows) < minRefusals {
		t.Errorf("%d rows, want at least %d", len(rows), minRefusals)
	}
	t.Logf("%d refusals: %d command lines and %d requests", len(rows), len(commands), len(requests))
	b.filesBefore, b.storeBefore = b.files(), b.stored()
	for i := range rows {
		row := &rows[i]
		name := fmt.Sprintf("%q", row.args)
		switch {
		case row.method != "":
			name = row.method + " " + excerpt(row.path) + " " + row.code + " " + row.names
			b.request(name, row)
		case i%3 == 0: // people see the same
			b.commandJSON(name, row)
		default:
			b.command(name, row)
		}
		b.unchanged(name, row.method == "")
	}
	b.unchanged("all", true)
	if got := b.locked.Dump(); len(got) > 0 {
		t.Errorf("a Redis that lets nobody in has %d keys", len(got))
	}
	if code := b.service.stop(); code != 0 {
		t.Errorf("the service ended with %d", code)
	}
	b.output["the log of the service"] = b.service.errOut.String()
	if !strings.Contains(b.output["the log of the service"], `"level":"DEBUG"`) {
		t.Error("the service did not log at debug level")
	}
	secrets := map[string]bool{planted: true, b.env["POOLKEEPER_API_KEY"]: true}
	for s := range allSecrets(t, filepath.Join(fixtures(t), "typical")) {
		secrets[s] = true
	}
	noLeak(t, secrets, b.output)
}

// excerpt keeps what is long out of the names of rows.
func excerpt(s string) string { return s[:min(len(s), 100)] }
