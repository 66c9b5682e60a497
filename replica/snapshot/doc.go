// Package snapshot keeps what a store holds in a directory, for the time when the
// store cannot be reached: [Write] and [Keeper] write it, [Load] reads it back.
//
// The directory has two forms of the same state, see docs/formats.md:
//
//   - gateway/configs/ is a configs/ directory with what its providers name beside
//     it. A gateway can be started in gateway/, and import takes it.
//   - state-* are sections: the state as it is, with what no file of a gateway can
//     say (definitions apart from the runtime state, when the health was decided,
//     revisions, the epoch).
//
// manifest.json names the sections, and is written last: what it names is whole and
// of one moment, whenever a write was cut off. Each file under gateway/ is the old or
// the new one then; what refers to others is written after them, and what nothing
// refers to any more is removed at the end.
//
// The directory is this package's alone. One process has it at a time, which is for
// the caller to see to. A file in it that somebody else has changed is replaced; what
// it was is kept in edited/.
package snapshot
