// Package backlog keeps, on top of a journal, the ops that were acknowledged and
// that the store does not have yet: their order, the requests in which they are
// on their way, what became of them, and those that are set aside for a person
// to decide. docs/formats.md has the records.
//
// Ops of one key form a lane, in the order in which they became durable. The
// package knows of no store; it is a [poolkeeper.Spool] for one.
package backlog
