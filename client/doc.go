// Package client is a [poolkeeper.Backend] over the REST API of a Poolkeeper
// service: with it, a program in Go uses a [poolkeeper.Store] as if it had opened
// the store itself, while the service is the one instance that has it open.
//
// Ops travel as values, in the root package's one encoding, and so do snapshots;
// docs/formats.md has both. An error of the service is the same error here,
// found by its code in the one table of errors.
//
// # What is sent again
//
// Reads, and whatever was surely not sent, are tried again for a while. An op
// that was sent and not answered is sent again only where that is safe: an
// increment, which has a key of its own by which the service counts it once.
// Any other such op is [poolkeeper.ErrIndeterminate]; [poolkeeper.ErrUnavailable]
// says that an op was surely not applied.
package client
