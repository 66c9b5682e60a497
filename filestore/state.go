package filestore

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/vfs"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// The files of the state directory, beside the journal.
const (
	manifestFile  = "checkpoint.json"
	intentFile    = "intent.json"
	sectionPrefix = "state-"
	formatVersion = 1
)

// A manifest is the record of a checkpoint: the state at a record of the
// journal, in sections, and what the files were that go with it.
type manifest struct {
	Version int    `json:"version"`
	Dir     string `json:"dir"` // the directory that it belongs to
	Seq     uint64 `json:"seq"`
	At      int64  `json:"at"` // by which sessions had expired
	// Pools is the hash of provider_pools.json as it lies there, and Rendered
	// that of what the state makes of it: the same once it was written.
	Pools    string `json:"pools"`
	Rendered string `json:"rendered"`
	// Unwritten are the paths that no file could be made of.
	Unwritten []string `json:"unwritten,omitempty"`
	// Sections are the names of the files that hold the state.
	Sections []string `json:"sections"`
	Notes    []Note   `json:"notes,omitempty"`
}

// hashOf identifies the bytes of a file. No bytes at all are no file.
func hashOf(data []byte) string {
	if data == nil {
		return ""
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// readState reads the last checkpoint; nil where there is none.
func readState(fsys vfs.FS) (*manifest, *memstore.Image, error) {
	data, err := readWhole(fsys, manifestFile)
	if err != nil || data == nil {
		return nil, nil, err
	}
	var m manifest
	if err := json.Unmarshal(data, &m); err != nil || len(m.Sections) == 0 {
		return nil, nil, damaged(manifestFile, "it is not the record of a checkpoint")
	}
	if m.Version != formatVersion {
		return nil, nil, poolkeeper.Errorf(poolkeeper.ErrForeign, "%s has version %d, and this program knows %d", manifestFile, m.Version, formatVersion).
			WithHint("use a newer version of the program")
	}
	image := &memstore.Image{Snapshot: poolkeeper.NewSnapshot(), Renamed: map[poolkeeper.Ref]memstore.Alias{},
		Revisions: map[poolkeeper.Key]poolkeeper.Revision{}, Structures: map[string]poolkeeper.Revision{}}
	for i, name := range m.Sections {
		data, err := readWhole(fsys, name)
		switch {
		case err != nil:
			return nil, nil, err
		case data == nil:
			return nil, nil, damaged(name, "it is missing")
		case sectionPrefix+hashOf(data)[:32] != name:
			return nil, nil, damaged(name, "its content is not what its name says")
		case i == 0:
			err = decodeCommon(image, data)
		case isCounted(data):
			err = decodeCounted(image, data)
		default:
			err = decodeLines(image, data)
		}
		if err != nil {
			return nil, nil, damaged(name, err.Error())
		}
	}
	slices.SortFunc(image.Counted.Chunks, func(a, b memstore.CountedRecords) int { return cmp.Compare(a.First, b.First) })
	return &m, image, nil
}

func damaged(file, reason string) error {
	return poolkeeper.Errorf(poolkeeper.ErrDamaged, "%s of the state directory: %s", file, reason).
		WithHint("put the file back; or move the state directory away, and start from what the files of the gateway hold")
}

// writeState makes a checkpoint the last one.
func writeState(fsys vfs.FS, m *manifest, fresh map[string][]byte) error {
	for name, data := range fresh {
		if _, err := fsys.Stat(name); err == nil {
			continue // it has that content, by its name; a torn one has another name
		}
		if err := vfs.Replace(fsys, name, data, 0o600); err != nil {
			return err
		}
	}
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := fsys.SyncDir("."); err != nil {
		return err
	}
	return vfs.WriteFile(fsys, manifestFile, data, 0o600)
}

// tidy removes sections that no checkpoint names, and what a crash has left.
func tidy(fsys vfs.FS, names []string) {
	entries, err := fsys.ReadDir(".")
	if err != nil {
		return // another time
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), sectionPrefix) && !slices.Contains(names, e.Name()) || strings.HasPrefix(e.Name(), vfs.TempPrefix) {
			fsys.Remove(e.Name()) // what stays is harmless
		}
	}
}

// readWhole reads a file; nil where there is none.
func readWhole(fsys vfs.FS, name string) ([]byte, error) {
	data, err := vfs.ReadFile(fsys, name, math.MaxInt64-1)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if data == nil && err == nil {
		data = []byte{}
	}
	return data, err
}
