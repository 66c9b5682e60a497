package main

import (
	"github.com/poolkeeper/poolkeeper/configdir"
)

// warn prints what a report found odd, each thing once.
func (a *app) warn(r *configdir.Report) {
	for _, n := range r.Warnings {
		a.note("warning: %s", n)
	}
	for _, path := range r.Transient {
		a.note("left out, as it is temporary: %s", cell(path))
	}
}
