package archtest

import (
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// markdown calls fn with every Markdown file of the repository and its text.
func markdown(t *testing.T, dir string, fn func(path, text string)) {
	t.Helper()
	checked := 0
	walk(t, dir, func(path string) {
		if !strings.HasSuffix(path, ".md") {
			return
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		checked++
		fn(path, string(data))
	})
	if checked < 10 {
		t.Errorf("only %d Markdown files were found", checked)
	}
}

// walk calls fn with every file of the repository, but for what a build or a
// run leaves behind.
func walk(t *testing.T, dir string, fn func(path string)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !d.IsDir():
			fn(path)
		case path != dir && (d.Name() == "bin" || d.Name() == "tmp" || strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

var (
	fence  = regexp.MustCompile("(?ms)^[ \t]*```.*?^[ \t]*```[ \t]*$")
	inline = regexp.MustCompile("`[^`\n]*`")
	link   = regexp.MustCompile(`\]\(([^()\s]+)\)|(?m)^\[[^]]+\]:\s*(\S+)`)
	head   = regexp.MustCompile(`(?m)^#{1,6}\s+(.+?)\s*$`)
)

// TestLinks follows every relative link of the documentation, to its heading
// where it names one.
func TestLinks(t *testing.T) {
	dir := root(t)
	links := 0
	markdown(t, dir, func(path, text string) {
		rel, _ := filepath.Rel(dir, path)
		text = inline.ReplaceAllString(fence.ReplaceAllString(text, ""), "")
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			to, err := url.Parse(m[1] + m[2])
			if err != nil {
				t.Errorf("%s: the link %q cannot be read", rel, m[0])
				continue
			}
			if to.Scheme != "" || to.Host != "" {
				continue
			}
			links++
			target := path
			if to.Path != "" {
				target = filepath.Join(filepath.Dir(path), filepath.FromSlash(to.Path))
			}
			if in, err := filepath.Rel(dir, target); err != nil || in == ".." || strings.HasPrefix(in, "../") {
				t.Errorf("%s: the link %s leaves the repository", rel, to)
				continue
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: the link %s leads nowhere", rel, to)
				continue
			}
			if to.Fragment != "" && !slices.Contains(headings(t, target), to.Fragment) {
				t.Errorf("%s: the link %s names no heading there", rel, to)
			}
		}
	})
	if links < 20 {
		t.Errorf("only %d links were checked", links)
	}
}

// headings are the names by which the headings of a file can be linked to.
func headings(t *testing.T, path string) []string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range head.FindAllStringSubmatch(fence.ReplaceAllString(string(data), ""), -1) {
		names = append(names, anchor(m[1]))
	}
	return names
}

// anchor is the name of a heading as forges make it: lower case, without
// punctuation, spaces as hyphens.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

func TestAnchor(t *testing.T) {
	for heading, want := range map[string]string{
		"The Redis user":                "the-redis-user",
		"`usage`, and what it answers":  "usage-and-what-it-answers",
		"1. Client library: changed":    "1-client-library-changed",
		"What is not there yet (v0.1)?": "what-is-not-there-yet-v01",
	} {
		if got := anchor(heading); got != want {
			t.Errorf("%q: %q, want %q", heading, got, want)
		}
	}
}

var (
	testName = regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark|Example)[A-Z]\w*`)
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark|Example)\w*)\(`)
)

// TestNamedTests makes sure that a test that the documentation names is there.
func TestNamedTests(t *testing.T) {
	dir := root(t)
	have := map[string]bool{}
	walk(t, dir, func(path string) {
		if !strings.HasSuffix(path, "_test.go") {
			return
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range testFunc.FindAllSubmatch(data, -1) {
			have[string(m[1])] = true
		}
	})
	markdown(t, dir, func(path, text string) {
		rel, _ := filepath.Rel(dir, path)
		for _, name := range testName.FindAllString(text, -1) {
			if !have[name] {
				t.Errorf("%s names %s, and there is no such test", rel, name)
			}
		}
	})
}
