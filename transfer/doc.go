// Package transfer moves state between a gateway's configs/ directory and a
// store, both ways, and compares the two by content.
//
// Directory and store meet in a [poolkeeper.Snapshot]: [ReadDir] makes one of a
// directory, [WriteDir] makes a directory of one, and [CompareSnapshots] finds
// what differs between two. [Import] and [Verify] are those over a store.
//
// Paths in a snapshot are relative to the parent of configs/ and slash
// separated, as the gateway resolves them. The directory itself may have any
// name on disk; in a snapshot it is called configs. Nothing outside of that
// parent is read or written, through symbolic links neither.
//
// Reports, differences and errors name files, types, ids and places. They hold
// no content of tokens, passwords, sessions or documents.
package transfer

// The names in a snapshot of the directory and of the files in it that are
// more than bytes to carry.
const (
	dirName        = "configs"
	configFile     = dirName + "/config.json"
	poolsFile      = dirName + "/provider_pools.json"
	passwordFile   = dirName + "/pwd"
	tokenStoreName = "token-store.json"
	tempDir        = dirName + "/temp"
)
