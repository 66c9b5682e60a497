package main

import (
	"fmt"
	"time"
)

// endLine ends a line of progress, for something else to be said.
func (a *app) endLine() {
	if a.midLine {
		a.midLine = false
		fmt.Fprintln(a.errOut)
	}
}

// progress returns what shows on a terminal how far a long piece of work is, on
// one line that is written over; nil where stderr is no terminal.
func (a *app) progress() func(done, total int) {
	if !isTerminal(a.errOut) {
		return nil
	}
	const often = 100 * time.Millisecond
	var last time.Time
	return func(done, total int) {
		if now := time.Now(); done == total || now.Sub(last) >= often {
			last = now
			end := ""
			if a.midLine = done != total; !a.midLine {
				end = "\n"
			}
			fmt.Fprintf(a.errOut, "\r%d of %d%s", done, total, end)
		}
	}
}
