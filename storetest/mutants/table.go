package main

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// A mutant is one patch and the test that must fail with it.
type mutant struct {
	name    string
	promise string // what it breaks, in words
	file    string // relative to the module
	pkg     string // of the test, as the go command names it
	test    string // for -run
	old     string // must stand in the file exactly once
	new     string
}

// readAll reads all tables, in the order of their names.
func readAll(fsys fs.FS) ([]mutant, error) {
	names, err := fs.Glob(fsys, "testdata/*.txt")
	if err != nil {
		return nil, err
	}
	var all []mutant
	seen := map[string]bool{}
	for _, name := range names {
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		mutants, err := read(path.Base(name), string(data))
		if err != nil {
			return nil, err
		}
		for _, m := range mutants {
			if seen[m.name] {
				return nil, fmt.Errorf("%s: the name %q is taken", name, m.name)
			}
			seen[m.name] = true
		}
		all = append(all, mutants...)
	}
	return all, nil
}

// Lines that structure a table. Those of code that look like one cannot be
// part of a patch.
const (
	begins = "=== "
	before = "--- old"
	after  = "--- new"
)

// read reads one table.
func read(name, text string) ([]mutant, error) {
	var all []mutant
	var m *mutant
	var into *string // the part of the patch that lines belong to
	for i, line := range strings.SplitAfter(text, "\n") {
		bare := strings.TrimRight(line, "\r\n")
		key, value, isField := strings.Cut(bare, ": ")
		switch {
		case strings.HasPrefix(bare, begins):
			all = append(all, mutant{name: strings.TrimSpace(bare[len(begins):])})
			m, into = &all[len(all)-1], nil
		case m == nil && (bare == "" || bare[0] == '#'):
		case m == nil:
			return nil, fmt.Errorf("%s:%d: a line before the first %q", name, i+1, begins)
		case bare == before:
			into = &m.old
		case bare == after:
			into = &m.new
		case into != nil:
			*into += line
		case bare == "":
		case !isField || !m.set(key, strings.TrimSpace(value)):
			return nil, fmt.Errorf("%s:%d: want promise, file, package or test, a colon, and what it is", name, i+1)
		}
	}
	for i := range all {
		if err := all[i].finish(); err != nil {
			return nil, fmt.Errorf("%s: mutant %q: %w", name, all[i].name, err)
		}
	}
	return all, nil
}

func (m *mutant) set(key, value string) bool {
	switch key {
	case "promise":
		m.promise = value
	case "file":
		m.file = value
	case "package":
		m.pkg = value
	case "test":
		m.test = value
	default:
		return false
	}
	return true
}

// finish takes the line ends off the patch, so that it can be a part of a line,
// and checks that nothing is missing.
func (m *mutant) finish() error {
	m.old, m.new = strings.TrimRight(m.old, "\n"), strings.TrimRight(m.new, "\n")
	for field, value := range map[string]string{"name": m.name, "promise": m.promise, "file": m.file, "package": m.pkg, "test": m.test, "old text": m.old} {
		if value == "" {
			return fmt.Errorf("the %s is missing", field)
		}
	}
	if m.old == m.new {
		return fmt.Errorf("the new text is the old one")
	}
	return nil
}

// apply returns the file with the patch, which must fit in exactly one place.
func (m *mutant) apply(source string) (string, error) {
	switch n := strings.Count(source, m.old); n {
	case 1:
		return strings.Replace(source, m.old, m.new, 1), nil
	case 0:
		return "", fmt.Errorf("the old text is not in %s", m.file)
	default:
		return "", fmt.Errorf("the old text is in %s %d times", m.file, n)
	}
}
