package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A verdict is what became of a mutant.
type verdict string

const (
	verdictKilled   verdict = "killed"
	verdictSurvived verdict = "SURVIVED"
	verdictNoFit    verdict = "DOES NOT APPLY"
	verdictNoBuild  verdict = "DOES NOT BUILD"
	verdictNoTest   verdict = "ITS TEST FAILS OR IS MISSING WITHOUT IT"
)

// Bounds of one test run. A mutant that hangs its test is killed as well.
const (
	testTimeout = 2 * time.Minute
	grace       = 15 * time.Second
)

// A runner builds test binaries in a directory of its own and runs them.
type runner struct {
	root string // of the module
	tmp  string
	// plain :: package → binary without a mutant, or why there is none
	plain map[string]built
	// passes :: package and test → whether it passes without a mutant
	passes map[[2]string]result
}

type built struct {
	binary string
	output string
	err    error
}

// A result is neither passed nor failed where the test could not be run.
type result struct {
	passed, failed bool
	output         string
}

func newRunner() (*runner, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	mod := strings.TrimSpace(string(out))
	if err != nil || mod == "" || mod == os.DevNull {
		return nil, errors.New("not inside of the module")
	}
	tmp, err := os.MkdirTemp("", "mutants-*")
	if err != nil {
		return nil, err
	}
	return &runner{root: filepath.Dir(mod), tmp: tmp, plain: map[string]built{}, passes: map[[2]string]result{}}, nil
}

func (r *runner) close() { os.RemoveAll(r.tmp) }

// judge runs the test of a mutant without and with it. output is what explains
// the verdict.
func (r *runner) judge(m mutant) (v verdict, output string) {
	path := filepath.Join(r.root, filepath.FromSlash(m.file))
	source, err := os.ReadFile(path)
	if err != nil {
		return verdictNoFit, err.Error() + "\n"
	}
	mutated, err := m.apply(string(source))
	if err != nil {
		return verdictNoFit, err.Error() + "\n"
	}
	if base := r.baseline(m); !base.passed {
		return verdictNoTest, base.output
	}
	overlay, err := r.overlay(path, mutated)
	if err != nil {
		return verdictNoBuild, err.Error() + "\n"
	}
	b := r.build(m.pkg, "mutant.test", "-overlay", overlay)
	if b.err != nil {
		return verdictNoBuild, b.output
	}
	res := r.run(b.binary, m)
	switch {
	case res.failed:
		return verdictKilled, res.output
	case res.passed:
		return verdictSurvived, res.output
	}
	return verdictNoTest, res.output
}

// baseline reports whether the test of a mutant is there, and passes without it.
func (r *runner) baseline(m mutant) result {
	key := [2]string{m.pkg, m.test}
	if res, ok := r.passes[key]; ok {
		return res
	}
	b, ok := r.plain[m.pkg]
	if !ok {
		b = r.build(m.pkg, "plain-"+strconv.Itoa(len(r.plain))+".test")
		r.plain[m.pkg] = b
	}
	if b.err != nil {
		return result{output: b.output}
	}
	res := r.run(b.binary, m)
	if res.passed && !ran(res.output, m.test) {
		res = result{output: fmt.Sprintf("no test of %s matches %q\n", m.pkg, m.test)}
	}
	r.passes[key] = res
	return res
}

// ran reports whether a test as deep as the pattern passed: a pattern for a
// sub-test that no longer exists matches the tests around it and nothing else.
func ran(output, pattern string) bool {
	depth := strings.Count(pattern, "/")
	for line := range strings.SplitSeq(output, "\n") {
		name, ok := strings.CutPrefix(strings.TrimLeft(line, " "), "--- PASS: ")
		if ok && strings.Count(name, "/") >= depth {
			return true
		}
	}
	return false
}

func (r *runner) overlay(path, mutated string) (string, error) {
	replacement := filepath.Join(r.tmp, "mutated")
	list, err := json.Marshal(map[string]map[string]string{"Replace": {path: replacement}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(r.tmp, "overlay.json")
	return overlay, errors.Join(os.WriteFile(replacement, []byte(mutated), 0o600), os.WriteFile(overlay, list, 0o600))
}

func (r *runner) build(pkg, name string, flags ...string) built {
	b := built{binary: filepath.Join(r.tmp, name)}
	// The go command keeps a binary that is there already, if it fails.
	os.Remove(b.binary)
	args := append([]string{"test", "-c", "-o", b.binary}, flags...)
	cmd := exec.Command("go", append(args, pkg)...)
	cmd.Dir = r.root
	out, err := cmd.CombinedOutput()
	b.output, b.err = string(out), err
	return b
}

// run runs the test of a mutant in the directory of its package, as go test
// would.
func (r *runner) run(binary string, m mutant) result {
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout+grace)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-test.v", "-test.run", m.test, "-test.timeout", testTimeout.String())
	cmd.Dir = filepath.Join(r.root, filepath.FromSlash(m.pkg))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	return result{passed: err == nil, failed: errors.As(err, &exit), output: out.String()}
}
