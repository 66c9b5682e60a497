package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A page is a manual page under way, in the macros of man(7).
type page struct{ strings.Builder }

// roff writes text so that it comes out as it is: no character of it is a
// command, and each hyphen and quote stays the one that can be copied.
var roff = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`)

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

func (p *page) section(name string) { p.line(".SH %s", roff.Replace(name)) }

// text writes a line that is no macro, whatever it begins with.
func (p *page) text(s string) {
	s = roff.Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	p.line("%s", s)
}

// prose writes paragraphs. Lines that are indented keep their form.
func (p *page) prose(s string) {
	indented, begun := false, false
	for l := range strings.Lines(s) {
		l = strings.TrimRight(l, "\n")
		switch in := strings.HasPrefix(l, "  "); {
		case l == "":
			if indented {
				p.line(".fi\n.RE")
				indented = false
			}
			p.line(".PP")
			begun = false
			continue
		case in && !indented:
			if begun {
				p.line(".PP")
			}
			p.line(".RS 4\n.nf")
			indented = true
		case !in && indented:
			p.line(".fi\n.RE\n.PP")
			indented = false
		}
		begun = true
		if indented {
			l = l[2:]
		}
		p.text(l)
	}
	if indented {
		p.line(".fi\n.RE")
	}
}

// flags writes a list of flags, those that are hidden left out.
func (p *page) flags(title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	p.section(title)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		name, usage := pflag.UnquoteUsage(f)
		head := `\fB` + roff.Replace("--"+f.Name) + `\fR`
		if f.Shorthand != "" {
			head = `\fB` + roff.Replace("-"+f.Shorthand) + `\fR, ` + head
		}
		if name != "" {
			head += ` \fI` + roff.Replace(name) + `\fR`
		}
		p.line(".TP\n%s", head)
		p.text(usage)
	})
}

// manual writes the page of a command.
func manual(cmd *cobra.Command) []byte {
	p := &page{}
	name := pageName(cmd)
	p.line(`.TH "%s" "1" "" "Poolkeeper" "Poolkeeper"`, roff.Replace(strings.ToUpper(name)))
	p.section("NAME")
	p.line(`%s \- %s`, roff.Replace(name), roff.Replace(cmd.Short))
	p.section("SYNOPSIS")
	p.line(".nf")
	if cmd.Runnable() && !cmd.HasAvailableSubCommands() {
		p.text(cmd.UseLine())
	} else {
		p.text(cmd.CommandPath() + " COMMAND [flags]")
	}
	p.line(".fi")
	p.section("DESCRIPTION")
	p.prose(cmd.Long)
	if cmd.HasAvailableSubCommands() {
		p.section("COMMANDS")
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				p.line(".TP\n\\fB%s\\fR", roff.Replace(c.Name()))
				p.text(c.Short)
			}
		}
	}
	p.flags("OPTIONS", cmd.NonInheritedFlags())
	p.flags("OPTIONS OF ALL COMMANDS", cmd.InheritedFlags())
	p.section("EXAMPLES")
	p.prose(cmd.Example)
	if cmd.HasParent() { // the first page has it in its description
		p.section("EXIT STATUS")
		p.prose(exitCodes)
	}
	p.section("SEE ALSO")
	var also []string
	if cmd.HasParent() {
		also = append(also, pageName(cmd.Parent()))
	}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			also = append(also, pageName(c))
		}
	}
	for i, n := range also {
		also[i] = `\fB` + roff.Replace(n) + `\fR(1)`
	}
	p.line("%s", strings.Join(also, ",\n"))
	return []byte(p.String())
}

// pageName is what the page of a command is called, as that of git-commit.
func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }
