// Skips reads the output of `go test -json` on standard input and prints what
// `go test` would have printed. It exits with 1 where a test failed, where a
// package did not finish, and where one of the required packages, named as
// arguments relative to the module, ran no test or skipped one that the
// allow-list does not name.
//
//	go test -json ./... | skips -allow .ci/allowed-skips memstore server
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

const module = "github.com/poolkeeper/poolkeeper"

func main() {
	allow := flag.String("allow", "", "file of skips that are allowed: PACKAGE TEST, then why")
	flag.Parse()
	allowed, err := readAllowed(*allow)
	if err != nil {
		fmt.Fprintln(os.Stderr, "skips:", err)
		os.Exit(2)
	}
	r := newReport(os.Stdout)
	if err := r.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "skips:", err)
		os.Exit(1)
	}
	if !r.verdict(flag.Args(), allowed) {
		os.Exit(1)
	}
}

// readAllowed returns the allowed skips as "PACKAGE TEST".
func readAllowed(name string) (map[string]bool, error) {
	allowed := map[string]bool{}
	if name == "" {
		return allowed, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Fields(line)
		if len(f) < 3 {
			return nil, fmt.Errorf("%s:%d: want PACKAGE TEST and the reason", name, i+1)
		}
		allowed[f[0]+" "+f[1]] = true
	}
	return allowed, nil
}

// event is one line of `go test -json`, as cmd/test2json documents it.
type event struct {
	Action, Package, Test, Output string
}

type pkg struct {
	done   string            // the closing action: pass, fail or skip; "" while it runs
	own    []string          // output of the package itself
	tests  map[string]string // output of the tests that are running or have failed
	order  []string          // the tests, as they started
	passed int
	skips  []string
}

type report struct {
	out                     io.Writer
	pkgs                    map[string]*pkg
	passed, failed, skipped int
}

func newReport(out io.Writer) *report {
	return &report{out: out, pkgs: map[string]*pkg{}}
}

// read takes events until the input ends. A line that is no event, such as one
// of make or of the go command, is printed as it is.
func (r *report) read(in io.Reader) error {
	br := bufio.NewReader(in)
	for {
		line, err := br.ReadString('\n')
		if line != "" {
			var e event
			if line[0] != '{' || json.Unmarshal([]byte(line), &e) != nil || e.Action == "" {
				fmt.Fprint(r.out, line)
			} else {
				r.take(e)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) take(e event) {
	if e.Action == "build-output" {
		fmt.Fprint(r.out, e.Output)
		return
	}
	if e.Package == "" {
		return
	}
	p := r.pkgs[e.Package]
	if p == nil {
		p = &pkg{tests: map[string]string{}}
		r.pkgs[e.Package] = p
	}
	switch e.Action {
	case "run":
		p.order = append(p.order, e.Test)
		p.tests[e.Test] = ""
	case "output":
		if e.Test != "" {
			p.tests[e.Test] += e.Output
		} else {
			p.own = append(p.own, e.Output)
		}
	case "pass", "skip", "fail":
		if e.Test == "" {
			p.done = e.Action
			r.print(p)
			return
		}
		switch e.Action {
		case "pass":
			r.passed++
			p.passed++
			delete(p.tests, e.Test)
		case "skip":
			r.skipped++
			p.skips = append(p.skips, e.Test)
			delete(p.tests, e.Test)
		case "fail":
			r.failed++
		}
	}
}

// print shows a package that has ended the way `go test` does without -v: one
// line where all went well, else what the failed and unfinished tests said.
func (r *report) print(p *pkg) {
	if p.done == "fail" {
		for _, t := range p.order {
			fmt.Fprint(r.out, p.tests[t])
		}
	}
	for _, s := range p.own {
		if p.done == "fail" || strings.HasPrefix(s, "ok ") || strings.HasPrefix(s, "? ") || strings.Contains(s, "[no test files]") {
			fmt.Fprint(r.out, s)
		}
	}
	p.own, p.tests = nil, map[string]string{}
}

// verdict prints what is wrong and the totals, and reports whether all is well.
func (r *report) verdict(required []string, allowed map[string]bool) bool {
	var wrong []string
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }

	for _, name := range slices.Sorted(maps.Keys(r.pkgs)) {
		switch r.pkgs[name].done {
		case "fail":
			complain("%s failed", relative(name))
		case "":
			r.pkgs[name].done = "fail"
			r.print(r.pkgs[name])
			complain("%s did not finish", relative(name))
		}
	}
	for _, name := range required {
		p := r.pkgs[module+"/"+name]
		if name == "." {
			p = r.pkgs[module]
		}
		if p == nil {
			complain("%s is required, and was not tested", name)
			continue
		}
		if p.passed == 0 && p.done != "fail" {
			complain("%s is required, and ran no test", name)
		}
		for _, t := range p.skips {
			if !allowed[name+" "+t] {
				complain("%s is required, and skipped %s", name, t)
			}
		}
	}
	if r.passed == 0 {
		complain("no test ran")
	}
	for _, w := range wrong {
		fmt.Fprintln(r.out, "skips:", w)
	}
	fmt.Fprintf(r.out, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
	return len(wrong) == 0
}

func relative(path string) string {
	if path == module {
		return "."
	}
	return strings.TrimPrefix(path, module+"/")
}
