package poolkeeper_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// TestOperationsListsEveryError holds the table of errors for operators to that
// of the code: each code with its status and exit code, and no other.
func TestOperationsListsEveryError(t *testing.T) {
	data, err := os.ReadFile("docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(data), "\n| code | HTTP | exit |")
	if !ok {
		t.Fatal("docs/operations.md has no table of errors")
	}
	table, _, _ := strings.Cut(text, "\n\n")
	rows := map[string][]string{}
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 6 || !strings.Contains(cells[1], "`") {
			continue
		}
		for i := range cells {
			cells[i] = strings.Trim(cells[i], " `\n")
		}
		if rows[cells[1]] != nil {
			t.Errorf("%s stands twice", cells[1])
		}
		rows[cells[1]] = cells[2:]
	}
	for _, c := range poolkeeper.ErrorClasses() {
		row := rows[c.Code]
		if row == nil {
			t.Errorf("%s is not in the table", c.Code)
			continue
		}
		if row[0] != strconv.Itoa(c.Status) || row[1] != strconv.Itoa(c.Exit) {
			t.Errorf("%s has status %s and exit code %s in the table, and %d and %d in the code", c.Code, row[0], row[1], c.Status, c.Exit)
		}
		if len(row[3]) < 20 {
			t.Errorf("%s: the table does not say what to do", c.Code)
		}
		delete(rows, c.Code)
	}
	for code := range rows {
		t.Errorf("%s is in the table, and is no code", code)
	}
}
