package main

import (
	"errors"
	"strconv"
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagError says which flag is wrong and what was wanted. A value is not repeated: it
// may be a secret, as may what stands behind a letter.
func flagError(cmd *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	if errors.As(err, &value) {
		f := value.GetFlag()
		what, example := wanted(f, errors.Is(err, strconv.ErrRange))
		return badArgs(cmd, "--%s takes %s, as in --%s%s", f.Name, what, f.Name, example)
	}
	var without *pflag.ValueRequiredError
	if errors.As(err, &without) {
		f := without.GetFlag()
		arg, _ := pflag.UnquoteUsage(f)
		return badArgs(cmd, "--%s has no value: --%s %s", f.Name, f.Name, arg)
	}
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		if unknown.GetSpecifiedShortnames() != "" {
			bad := badArgs(cmd, "there is no flag -%s", unknown.GetSpecifiedName())
			return alsoHint(bad, "an argument that begins with - goes after --")
		}
		name := unknown.GetSpecifiedName()
		bad := badArgs(cmd, "there is no flag --%s", redactText(name))
		if like := flagsLike(cmd, name); len(like) > 0 {
			return alsoHint(bad, "did you mean "+strings.Join(like, " or ")+"?")
		}
		return bad
	}
	return badArgs(cmd, "a flag has no name: flags are written as --NAME, --NAME VALUE or --NAME=VALUE")
}

// wanted is what a flag takes, in words, and an example of a value with what is in
// front of it.
func wanted(f *pflag.Flag, outOfRange bool) (what, example string) {
	switch f.Value.Type() {
	case "bool":
		return "true or false, or no value", "=false"
	case "int", "int64":
		if outOfRange {
			return "a smaller whole number", " 5"
		}
		return "a whole number", " 5"
	case "duration":
		return "a time with its unit", " 3s"
	}
	arg, usage := pflag.UnquoteUsage(f)
	return "another value (" + usage + ")", " " + arg
}

// flagsLike finds the flags of a command that were perhaps meant.
func flagsLike(cmd *cobra.Command, name string) (like []string) {
	name = strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		plain := strings.ReplaceAll(f.Name, "-", "")
		if f.Name == name || len(name) > 2 && (strings.HasPrefix(f.Name, name) || plain == strings.ReplaceAll(name, "-", "")) {
			like = append(like, "--"+f.Name)
		}
	})
	return like
}

// alsoHint adds to the way out of an error.
func alsoHint(err error, more string) error {
	var e *poolkeeper.Error
	if errors.As(err, &e) {
		return e.WithHint("%s; %s", e.Hint, more)
	}
	return err
}

// wantsJSON reports whether --json stands on a command line that could not be read as a
// whole, so that its error is JSON as well.
func wantsJSON(args []string) (is bool) {
	for _, arg := range args {
		name, value, given := strings.Cut(arg, "=")
		switch {
		case arg == "--":
			return is
		case name == "--json" && !given:
			is = true
		case name == "--json":
			is, _ = strconv.ParseBool(value)
		}
	}
	return is
}
