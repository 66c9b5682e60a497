// Mutants breaks one promise of Poolkeeper after the other, by small patches of
// the code, and expects a named test to fail for each. It prints a table, and
// exits with 1 unless each mutant was killed by its test.
//
//	go run ./storetest/mutants [-list] [-run REGEXP] [-v]
//
// The mutants are in testdata/*.txt, whose format is said in README.md; adding
// some takes no Go. The working tree is not touched: a mutated file is given to
// the go command as an overlay, which works for embedded files too.
package main

import (
	"embed"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
)

//go:embed testdata/*.txt
var data embed.FS

func main() {
	list := flag.Bool("list", false, "list the mutants and run none")
	run := flag.String("run", "", "run the mutants whose name matches this regular expression")
	verbose := flag.Bool("v", false, "show what the tests printed")
	flag.Parse()
	ok, err := mutate(os.Stdout, *list, *run, *verbose)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(2)
	case !ok:
		os.Exit(1)
	}
}

// mutate runs the mutants that are asked for, and reports whether all of them
// were killed.
func mutate(out io.Writer, list bool, run string, verbose bool) (ok bool, err error) {
	wanted, err := regexp.Compile(run)
	if err != nil {
		return false, err
	}
	mutants, err := readAll(data)
	if err != nil {
		return false, err
	}
	var chosen []mutant
	for _, m := range mutants {
		if wanted.MatchString(m.name) {
			chosen = append(chosen, m)
		}
	}
	if len(chosen) == 0 {
		return false, fmt.Errorf("no mutant has a name that matches %q; -list shows them", run)
	}
	if list {
		for _, m := range chosen {
			fmt.Fprintf(out, "%-34s %-12s %s: %s\n", m.name, m.file, m.promise, m.test)
		}
		return true, nil
	}

	r, err := newRunner()
	if err != nil {
		return false, err
	}
	defer r.close()
	killed := 0
	fmt.Fprintln(out, "| mutant | broken promise | file | killed by | result |")
	fmt.Fprintln(out, "|---|---|---|---|---|")
	for _, m := range chosen {
		v, output := r.judge(m)
		if v == verdictKilled {
			killed++
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s %s | %s |\n", m.name, m.promise, m.file, m.pkg, m.test, v)
		if verbose || v != verdictKilled {
			fmt.Fprint(os.Stderr, output)
		}
	}
	fmt.Fprintf(out, "\n%d of %d killed\n", killed, len(chosen))
	return killed == len(chosen), nil
}
