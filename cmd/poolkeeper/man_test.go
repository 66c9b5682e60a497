package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/poolkeeper/poolkeeper"
)

// everyPage returns all commands that have a page.
func everyPage() []*cobra.Command {
	var all []*cobra.Command
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		if cmd.Name() == "help" {
			return
		}
		all = append(all, cmd)
		for _, c := range cmd.Commands() {
			visit(c)
		}
	}
	visit((&app{}).root())
	return all
}

var (
	macros = []string{".TH", ".SH", ".PP", ".TP", ".RS", ".RE", ".nf", ".fi"}
	// unroff undoes what roff does to text.
	unroff = strings.NewReplacer(`\e`, `\`, `\-`, "-", `\(aq`, "'", `\(ga`, "`", `\(ha`, "^", `\(ti`, "~", `\&`, "", `\fB`, "", `\fI`, "", `\fR`, "")
)

// TestManual: each command has a page, which says what its help says and has
// examples; it has no path of a machine, and is the same on each.
func TestManual(t *testing.T) {
	first, second := filepath.Join(t.TempDir(), "man1"), filepath.Join(t.TempDir(), "man1")
	out, _ := expect(t, map[string]string{"HOME": t.TempDir()}, 0, "", "man", first, "--json")
	var said struct {
		Dir   string
		Pages []string
	}
	if err := json.Unmarshal([]byte(out), &said); err != nil || said.Dir != first {
		t.Fatalf("%v: %s", err, out)
	}
	expect(t, map[string]string{"REDIS_URL": "redis://FAKE@h", "POOLKEEPER_CONFIG_DIR": "/machine"}, 0, "", "man", second)
	pages := tree(t, first)
	if diff := cmp.Diff(pages, tree(t, second)); diff != "" {
		t.Errorf("the pages of two environments differ:\n%s", diff)
	}
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	commands := everyPage()
	for _, cmd := range commands {
		name := pageName(cmd) + ".1"
		data := pages[name]
		if data == nil || !slices.Contains(said.Pages, name) {
			t.Errorf("%s has no page", cmd.CommandPath())
			continue
		}
		for _, path := range []string{cwd, os.TempDir(), "/root", "/home", "/machine", "FAKE"} {
			if bytes.Contains(data, []byte(path)) {
				t.Errorf("%s has %s", name, path)
			}
		}
		// A page is shown in whatever encoding the terminal has.
		if i := bytes.IndexFunc(data, func(r rune) bool { return r > unicode.MaxASCII }); i >= 0 {
			t.Errorf("%s has %q", name, data[max(0, i-30):i+4])
		}
		var plain strings.Builder
		for line := range strings.Lines(string(data)) {
			if line[0] == '\'' || line[0] == '.' && !slices.Contains(macros, strings.Fields(line)[0]) {
				t.Errorf("%s has the line %q", name, line)
			}
			plain.WriteString(unroff.Replace(line))
		}
		text := strings.Join(strings.Fields(strings.NewReplacer(".RS 4\n", "", ".RE\n", "", ".nf\n", "", ".fi\n", "", ".PP\n", "").Replace(plain.String())), " ")
		want := []string{cmd.Short, cmd.Long, cmd.Example, "SEE ALSO", "Exit codes:"}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) { want = append(want, "--"+f.Name) })
		for _, s := range want {
			if !strings.Contains(text, strings.Join(strings.Fields(s), " ")) {
				t.Errorf("%s does not say %q:\n%s", name, s, text)
			}
		}
		_, examples, ok := strings.Cut(text, ".SH EXAMPLES ")
		if !ok || !strings.HasPrefix(strings.TrimSpace(examples), "poolkeeper") && !strings.Contains(examples[:min(len(examples), 300)], cmd.CommandPath()) {
			t.Errorf("%s has no examples", name)
		}
	}
	if len(pages) != len(commands) {
		t.Errorf("%d pages for %d commands", len(pages), len(commands))
	}
	if info, err := os.Stat(filepath.Join(first, "poolkeeper.1")); err != nil || info.Mode().Perm()&0o044 != 0o044 {
		t.Errorf("others cannot read it: %v %v", info.Mode(), err)
	}
	code, _, errOut := call(t.Context(), nil, "", "man", filepath.Join(first, "poolkeeper.1"))
	if code != poolkeeper.ExitRefused || !strings.Contains(errOut, "hint: ") {
		t.Errorf("into a file: %d %s", code, errOut)
	}
}

// TestManualEscapes: nothing of a text is a command of the page.
func TestManualEscapes(t *testing.T) {
	p := &page{}
	p.prose(".so /etc/passwd\n'br\n\\fBx\n\n  kept  -  as it is\n  .x\n\nend")
	want := "\\&.so /etc/passwd\n\\(aqbr\n\\efBx\n.PP\n.RS 4\n.nf\nkept  \\-  as it is\n\\&.x\n.fi\n.RE\n.PP\nend\n"
	if diff := cmp.Diff(want, p.String()); diff != "" {
		t.Error(diff)
	}
}
