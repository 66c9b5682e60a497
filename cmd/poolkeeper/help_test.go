package main

import (
	"strconv"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/spf13/cobra"
)

// TestHelp asks every command for help, which has examples of it.
func TestHelp(t *testing.T) {
	root := (&app{}).root()
	seen := 0
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		if cmd.Name() == "help" {
			return
		}
		for _, c := range cmd.Commands() {
			visit(c)
		}
		seen++
		path := strings.Fields(cmd.CommandPath())[1:]
		code, out, errOut := call(t.Context(), nil, "", append(path, "--help")...)
		if code != poolkeeper.ExitOK || errOut != "" {
			t.Errorf("%s --help: exit code %d: %s", cmd.CommandPath(), code, errOut)
		}
		if cmd.Long == "" || !strings.HasPrefix(out, strings.TrimSpace(cmd.Long)) || !strings.Contains(out, "Usage:\n  "+cmd.CommandPath()) {
			t.Errorf("%s --help says:\n%s", cmd.CommandPath(), out)
		}
		if cmd.HasSubCommands() {
			if !strings.Contains(out, "Available Commands:") {
				t.Errorf("%s --help lists no commands", cmd.CommandPath())
			}
		}
		if !strings.Contains(cmd.Example, cmd.CommandPath()) || !strings.Contains(out, "Examples:\n"+cmd.Example) {
			t.Errorf("%s --help has no example of it", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Example) {
			if !strings.HasPrefix(line, "  ") {
				t.Errorf("%s: an example is not indented: %q", cmd.CommandPath(), line)
			}
		}
		for line := range strings.Lines(cmd.Long) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 84 {
				t.Errorf("%s: a line of its help has %d characters", cmd.CommandPath(), n)
			}
		}
		// What is wrong with the arguments is said before anything is opened.
		if code, _, errOut := call(t.Context(), nil, "", append(path, "--no-such-flag")...); code != poolkeeper.ExitUsage || !strings.Contains(errOut, "hint: see "+cmd.CommandPath()+" --help") {
			t.Errorf("%s --no-such-flag: exit code %d: %s", cmd.CommandPath(), code, errOut)
		}
	}
	visit(root)
	if seen < 30 {
		t.Errorf("only %d commands", seen)
	}
}

// TestHelpNamesExitCodes holds the list in the help to the table of errors.
func TestHelpNamesExitCodes(t *testing.T) {
	_, out, _ := call(t.Context(), nil, "", "--help")
	for _, c := range poolkeeper.ErrorClasses() {
		found := false
		for line := range strings.Lines(out) {
			if f := strings.Fields(line); len(f) > 1 && strings.HasPrefix(line, "  ") && f[0] == strconv.Itoa(c.Exit) {
				found = true
			}
		}
		if !found {
			t.Errorf("exit code %d (%s) is not in the help", c.Exit, c.Code)
		}
	}
}
