package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"path"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/vfs"
)

// The names in the directory of a snapshot.
const (
	manifestFile = "manifest.json"
	writingFile  = "writing.json"
	treeDir      = "gateway"
	editedDir    = "edited"

	statePrefix = "state-"
	filesPrefix = "files-"

	formatVersion = 1
)

// ConfigDir is the configs/ directory of the snapshot in dir. The gateway is started
// in its parent.
func ConfigDir(dir string) string { return dir + "/" + treeDir + "/configs" }

// A Manifest says what a snapshot is.
type Manifest struct {
	Version int `json:"version"`
	// WrittenAt is when the snapshot was taken, in milliseconds since 1970.
	WrittenAt int64 `json:"writtenAt"`
	// Epoch is that of the store, empty where it was not known.
	Epoch     string `json:"epoch,omitempty"`
	Providers int    `json:"providers"`
	Tokens    int    `json:"tokens"`
	Documents int    `json:"documents"`
	Files     int    `json:"files"` // carried ones
	Sessions  int    `json:"sessions"`
	// Pools are all pools in the order of their types.
	Pools []PoolMark `json:"pools"`
	// Common is the section of the facts about the store and the old ids, Values
	// those of the values, Paths those with the hashes of the files under gateway/.
	Common string   `json:"common"`
	Values []string `json:"values,omitempty"`
	Paths  []string `json:"paths,omitempty"`
	// Unwritten are the paths that no file could be made of.
	Unwritten []string `json:"unwritten,omitempty"`

	// Damage is what Load found, and from where it took what was missing.
	Damage []string `json:"-"`
}

// A PoolMark is what a manifest says of a pool.
type PoolMark struct {
	Type      string `json:"type"`
	Revision  string `json:"revision,omitempty"`
	Structure string `json:"structure,omitempty"`
	Providers int    `json:"providers"`
	// Sections hold the providers, one part after the other.
	Sections []string `json:"sections"`
}

// Time is when the snapshot was taken.
func (m *Manifest) Time() time.Time { return time.UnixMilli(m.WrittenAt) }

// sections are the names of all files that the manifest names.
func (m *Manifest) sections() map[string]bool {
	names := map[string]bool{m.Common: true}
	for _, p := range m.Pools {
		for _, s := range p.Sections {
			names[s] = true
		}
	}
	for _, list := range [][]string{m.Values, m.Paths} {
		for _, s := range list {
			names[s] = true
		}
	}
	delete(names, "") // of a shard with nothing in it
	return names
}

// hashOf identifies bytes.
func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// sectionName is the name of a section with that content.
func sectionName(prefix string, data []byte) string { return prefix + hashOf(data)[:32] }

// readManifest reads the manifest; nil where there is none.
func readManifest(fsys vfs.FS) (*Manifest, error) {
	data, err := vfs.ReadFile(fsys, manifestFile, math.MaxInt64-1)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m := &Manifest{}
	if err := json.Unmarshal(data, m); err != nil || m.Version == 0 || m.Common == "" {
		return nil, damaged(manifestFile, "it is no manifest of a snapshot")
	}
	if m.Version != formatVersion {
		return nil, poolkeeper.Errorf(poolkeeper.ErrForeign, "%s has version %d, and this program knows %d", manifestFile, m.Version, formatVersion).
			WithHint("use a newer version of the program; or move the directory of the snapshot away, and let a new one be written")
	}
	return m, nil
}

// readSection reads a section, whose name says what it holds.
func readSection(fsys vfs.FS, name string) ([]byte, error) {
	prefix, _, ok := strings.Cut(name, "-")
	if !ok || path.Base(name) != name {
		return nil, damaged(manifestFile, "it names a section that can be none")
	}
	data, err := vfs.ReadFile(fsys, name, math.MaxInt64-1)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, damaged(name, "it is missing")
	case err != nil:
		return nil, err
	case sectionName(prefix+"-", data) != name:
		return nil, damaged(name, "its content is not what its name says")
	}
	return data, nil
}

func damaged(file, reason string) error {
	return poolkeeper.Errorf(poolkeeper.ErrDamaged, "%s of the snapshot: %s", file, reason).
		WithHint("the next snapshot that is written replaces it")
}
