package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryMutantApplies keeps the tables in step with the code: it is quick,
// where running the mutants is not.
func TestEveryMutantApplies(t *testing.T) {
	mutants, err := readAll(data)
	if err != nil {
		t.Fatal(err)
	}
	if len(mutants) < 10 {
		t.Errorf("only %d mutants", len(mutants))
	}
	for _, m := range mutants {
		source, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(m.file)))
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
			continue
		}
		mutated, err := m.apply(string(source))
		if err == nil && filepath.Ext(m.file) == ".go" {
			_, err = parser.ParseFile(token.NewFileSet(), m.file, mutated, 0)
		}
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}

const table = `# about these

=== one
promise: p
file: a.go
package: ./a
test: ^TestA$/^b: c
--- old
	x := 1
# y
--- new
	x := 2

=== two
promise: p
file: a.lua
package: ./a
test: TestB
--- old
x
--- new
`

func TestRead(t *testing.T) {
	got, err := read("t.txt", table)
	if err != nil {
		t.Fatal(err)
	}
	want := []mutant{
		{"one", "p", "a.go", "./a", "^TestA$/^b: c", "\tx := 1\n# y", "\tx := 2"},
		{"two", "p", "a.lua", "./a", "TestB", "x", ""},
	}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%+v, want %+v", got, want)
	}
	for _, bad := range []string{
		"x", "=== a\n", "=== a\nnonsense\n", "=== a\ncolour: red\n",
		strings.Replace(table, "--- old\nx\n", "", 1), strings.Replace(table, "x := 2", "x := 1\n# y", 1), strings.Replace(table, "test: TestB\n", "", 1),
	} {
		if got, err := read("t.txt", bad); err == nil {
			t.Errorf("%q reads as %+v", bad, got)
		}
	}
}

func TestApply(t *testing.T) {
	m := mutant{file: "f", old: "a", new: "b"}
	if got, err := m.apply("xay"); err != nil || got != "xby" {
		t.Errorf("%q, error %v", got, err)
	}
	for _, source := range []string{"xy", "aa"} {
		if got, err := m.apply(source); err == nil {
			t.Errorf("%q became %q", source, got)
		}
	}
}

func TestRan(t *testing.T) {
	output := "=== RUN TestA\n--- PASS: TestA (0.0s)\n    --- PASS: TestA/b (0.0s)\n"
	for pattern, want := range map[string]bool{"TestA": true, "TestA/b": true, "TestA/b/c": false} {
		if got := ran(output, pattern); got != want {
			t.Errorf("%s: %v, want %v", pattern, got, want)
		}
	}
	if ran("--- SKIP: TestA (0.0s)\nPASS\n", "TestA") {
		t.Error("a skipped test counts as one that ran")
	}
}
