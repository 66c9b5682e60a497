package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// lines turns `action test [output]` into events of package a.
func lines(events ...string) string {
	var b strings.Builder
	for _, e := range events {
		f := strings.SplitN(e, "|", 3)
		b.WriteString(`{"Action":"` + f[0] + `","Package":"` + module + `/a"`)
		if f[1] != "" {
			b.WriteString(`,"Test":"` + f[1] + `"`)
		}
		if len(f) == 3 {
			b.WriteString(`,"Output":"` + f[2] + `\n"`)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

func TestVerdict(t *testing.T) {
	pass := []string{"start|", "run|TestA", "output|TestA|chatter", "pass|TestA"}
	end := []string{"output||PASS", "output||ok  \\ta\\t0.1s", "pass|"}
	skip := []string{"run|TestB/x", "output|TestB/x|no redis", "skip|TestB/x"}
	fail := []string{"run|TestC", "output|TestC|boom", "fail|TestC", "output||FAIL", "fail|"}
	cat := func(parts ...[]string) string {
		var all []string
		for _, p := range parts {
			all = append(all, p...)
		}
		return lines(all...)
	}
	for name, tc := range map[string]struct {
		in       string
		required []string
		allowed  string
		ok       bool
		says     string // must be printed
		hides    string // must not be
	}{
		"all passed":            {cat(pass, end), []string{"a"}, "", true, "ok  \ta\t0.1s\n1 passed, 0 failed, 0 skipped\n", "chatter"},
		"skip where required":   {cat(pass, skip, end), []string{"a"}, "", false, "a is required, and skipped TestB/x", "chatter"},
		"skip that is allowed":  {cat(pass, skip, end), []string{"a"}, "a TestB/x", true, "1 passed, 0 failed, 1 skipped\n", "skips:"},
		"skip elsewhere":        {cat(pass, skip, end), nil, "", true, "1 skipped", "skips:"},
		"failed":                {cat(pass, fail), nil, "", false, "boom", "chatter"},
		"unfinished":            {cat(pass, []string{"run|TestD", "output|TestD|was here"}), nil, "", false, "was here", "chatter"},
		"no test in a required": {lines("start|", "output||?   \\ta\\t[no test files]", "skip|"), []string{"a"}, "", false, "a is required, and ran no test", "did not finish"},
		"required is missing":   {cat(pass, end), []string{"b"}, "", false, "b is required, and was not tested", "chatter"},
		"nothing at all":        {"make: *** failed\n", nil, "", false, "make: *** failed\nskips: no test ran\n", "ok"},
		"does not build":        {`{"Action":"build-output","Output":"x.go:1: bad\n"}` + "\n" + lines("start|", "output||FAIL", "fail|"), []string{"a"}, "", false, "x.go:1: bad", "ran no test in"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			r := newReport(&out)
			if err := r.read(strings.NewReader(tc.in)); err != nil {
				t.Fatal(err)
			}
			if ok := r.verdict(tc.required, map[string]bool{tc.allowed: true}); ok != tc.ok {
				t.Errorf("verdict %v, want %v", ok, tc.ok)
			}
			if !strings.Contains(out.String(), tc.says) {
				t.Errorf("does not say %q:\n%s", tc.says, out.String())
			}
			if strings.Contains(out.String(), tc.hides) {
				t.Errorf("says %q:\n%s", tc.hides, out.String())
			}
		})
	}
}

func TestReadAllowed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "allowed")
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# none\n\nserver TestX/y  needs another kernel\n")
	allowed, err := readAllowed(file)
	if err != nil || len(allowed) != 1 || !allowed["server TestX/y"] {
		t.Errorf("got %v, %v", allowed, err)
	}
	write("server TestX/y\n")
	if _, err := readAllowed(file); err == nil {
		t.Error("a skip without a reason was allowed")
	}
}
