package filestore

import (
	"encoding/json"
	"slices"

	"github.com/poolkeeper/poolkeeper/internal/vfs"
)

// An intent says which bytes a checkpoint is about to give to files, by their
// hash; an empty one is a file that goes. It also has what earlier checkpoints
// were about to write that did not come to their end.
type intent struct {
	Seq uint64 `json:"seq"`
	// Seqs are the records at which the earlier ones were that have written
	// something.
	Seqs  []uint64            `json:"seqs,omitempty"`
	Files map[string][]string `json:"files"`
	// Restore says that the files are those of a Restore.
	Restore bool `json:"restore,omitempty"`
}

// add adds a hash to those that a file may have.
func (in *intent) add(path, hash string) {
	if !slices.Contains(in.Files[path], hash) {
		in.Files[path] = append(in.Files[path], hash)
	}
}

func readIntent(fsys vfs.FS) (*intent, error) {
	data, err := readWhole(fsys, intentFile)
	if err != nil || data == nil {
		return nil, err
	}
	var in intent
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, damaged(intentFile, "it cannot be read")
	}
	return &in, nil
}

func writeIntent(fsys vfs.FS, in *intent) error {
	data, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return vfs.WriteFile(fsys, intentFile, data, 0o600)
}
