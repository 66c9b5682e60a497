// Package bench measures how many usage increments a store takes, and how long
// each takes, beside redis-benchmark on the same server in the same run.
package bench
