package server

import (
	"net/url"
	"slices"

	"github.com/poolkeeper/poolkeeper"
)

// checkQuery refuses parameters that the route does not have, so that a
// misspelt one does not pass for its default.
func (x *exchange) checkQuery() error {
	q, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil {
		return poolkeeper.Errorf(poolkeeper.ErrInvalid, "the query string is malformed")
	}
	for name, values := range q {
		if !slices.Contains(x.route.query, name) {
			return poolkeeper.Errorf(poolkeeper.ErrInvalid, "there is no query parameter %q here", clip(name))
		}
		if len(values) != 1 || values[0] != "true" && values[0] != "false" {
			return poolkeeper.Errorf(poolkeeper.ErrInvalid, "the query parameter %s is not given once, as true or false", name)
		}
	}
	return nil
}

// flag returns a parameter that checkQuery has passed.
func (x *exchange) flag(name string) bool {
	return x.r.URL.RawQuery != "" && x.r.URL.Query().Get(name) == "true"
}
