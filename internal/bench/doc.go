// Package bench measures how many usage increments a store takes, and how long
// each takes, beside redis-benchmark on the same server in the same run; and the
// same over the REST API, beside a handler that does nothing.
package bench
