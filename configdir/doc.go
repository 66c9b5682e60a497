// Package configdir moves state between a gateway's configs/ directory and a
// [poolkeeper.Snapshot]: [ReadDir] makes one of a directory, [WriteDir] makes a
// directory of one, and [CompareSnapshots] finds what differs between two, as
// the directories that they would be.
//
// Paths in a snapshot are relative to the parent of configs/ and slash
// separated, as the gateway resolves them. The directory itself may have any
// name on disk; in a snapshot it is called configs. Nothing outside of that
// parent is read or written, through symbolic links neither.
//
// Reports, differences and errors name files, types, ids and places. They hold
// no content of tokens, passwords, sessions or documents.
package configdir

const (
	// Name is what a snapshot calls the directory.
	Name = "configs"
	// TokenStore is the document that holds the sessions.
	TokenStore = "token-store.json"
)

// The names in a snapshot of the files in the directory that are more than
// bytes to carry.
const (
	configFile   = Name + "/config.json"
	poolsFile    = Name + "/provider_pools.json"
	passwordFile = Name + "/pwd"
	tempDir      = Name + "/temp"
)
