// Package filestore keeps the state in a gateway's own configs/ directory: the
// state machine of memstore, a journal, and the files.
//
// An op that is acknowledged as applied is in the journal, synced. The files are
// rewritten soon after, by a checkpoint: no later than [Options.Lag] after the
// change, and the time that the writing takes. Whatever the files cannot hold
// (derived ids, aliases, revisions, the epoch) is in the state directory, whose
// layout is in docs/formats.md. One process has a directory at a time.
//
// # Journal and checkpoint
//
// The ops of one key are decided one after the other: first they are tried on the
// state, then their record is made durable, then they are committed, in the order
// of the records. An op that is refused writes nothing. A record has the time of
// the decision and the instance that made it, so that a replay comes to the same
// state, whenever it is done.
//
// A checkpoint goes in this order, and can be cut off between any two steps:
// the intent (which file is to have which bytes, at which record of the
// journal); the files, each whole; the state at that record; and only then the
// journal is trimmed.
//
// # Edits by others
//
// The directory is looked at before each checkpoint and now and then. What
// somebody else has changed is merged: what changed since the last checkpoint on
// one side only is taken from there; where both sides changed the same field,
// the file wins and ours is listed. Runtime fields of an edit are ignored while
// the store is open, since they are its own, and count at the next open, where
// the gateway itself may have been at work. A file that cannot be read whole is
// left as it is, and so is the rest of the directory, until it can.
package filestore
