// Package journal is a durable log of records in the files of one directory.
// It knows nothing of what the records mean. docs/formats.md has the layout.
//
// Records get consecutive sequences. An [Journal.Append] returns when its
// records are durable; those that wait at the same time are made durable
// together, with one sync. What was acknowledged is there after a crash of the
// process or of the machine, in its order, and nothing else is, save the
// records of the one write that was under way.
package journal
