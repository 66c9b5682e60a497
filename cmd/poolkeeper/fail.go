package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/poolkeeper/poolkeeper"
)

// usageError is an error in the way a command was called.
func usageError(err error) error {
	var e *poolkeeper.Error
	if errors.As(err, &e) {
		return err
	}
	return poolkeeper.Errorf(poolkeeper.ErrInvalid, "%v", err).WithHint("see poolkeeper help")
}

// fail prints an error with the way out, and returns its exit code.
func (a *app) fail(err error) int {
	a.endLine()
	class := poolkeeper.ClassOf(err)
	if readerGone(err) {
		return class.Exit
	}
	hint := poolkeeper.HintOf(err)
	message := err.Error()
	if hint != "" {
		message = strings.Replace(message, " ("+hint+")", "", 1)
	} else {
		hint = a.hintFor(class, err)
	}
	if class.Exit == poolkeeper.ExitInterrupted {
		message = "interrupted"
	}
	if !a.json {
		fmt.Fprintf(a.errOut, "poolkeeper: %s\n", message)
		if hint != "" {
			fmt.Fprintf(a.errOut, "hint: %s\n", hint)
		}
		return class.Exit
	}
	type body struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Hint    string `json:"hint,omitempty"`
		Exit    int    `json:"exit"`
	}
	b, _ := json.Marshal(map[string]body{"error": {class.Code, message, hint, class.Exit}}) // strings always marshal
	fmt.Fprintf(a.errOut, "%s\n", b)
	return class.Exit
}
