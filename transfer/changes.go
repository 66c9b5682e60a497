package transfer

import (
	"fmt"
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/show"
)

// A Change is one thing that an import adds, changes, keeps or removes.
type Change struct {
	What string `json:"what"`           // the key or provider, as they print themselves
	Path string `json:"path,omitempty"` // the file, of a token
	Why  string `json:"why,omitempty"`  // what differs, or why it was kept
}

// String prints the change on one line.
func (c Change) String() string {
	s := c.What
	if c.Path != "" {
		s += " (" + show.Name(c.Path) + ")"
	}
	if c.Why != "" {
		s += ": " + c.Why
	}
	return s
}

// An ImportResult says what an import is going to do, would do, or did. It is
// complete before anything is written.
type ImportResult struct {
	// Report is that of reading the directory.
	Report *configdir.Report `json:"report"`
	// Restored says that the store was not initialised, and now has what the
	// directory has.
	Restored bool `json:"restored"`
	DryRun   bool `json:"dryRun"`
	// Providers, Tokens and Config are what the store has of the directory.
	Providers int  `json:"providers"`
	Tokens    int  `json:"tokens"`
	Config    bool `json:"config"`

	Added   []Change `json:"added"`
	Changed []Change `json:"changed"`
	// Removed is what only the store had, where it is to mirror the directory.
	Removed []Change `json:"removed"`
	// Kept is what differs, and stays as the store has it.
	Kept      []Change `json:"kept"`
	Unchanged int      `json:"unchanged"`
}

// Changes is how many things were added, changed or removed.
func (r *ImportResult) Changes() int { return len(r.Added) + len(r.Changed) + len(r.Removed) }

// String is the summary of the result, on one line.
func (r *ImportResult) String() string {
	s := fmt.Sprintf("Migrated %d providers, %d tokens", r.Providers, r.Tokens)
	if r.Config {
		s += ", config"
	}
	return s
}

func changeOf(k poolkeeper.Key, path, why string) Change {
	what := k.String()
	if k.Kind == poolkeeper.KindProvider {
		what = poolkeeper.Ref{Type: k.Type, ID: k.Name}.String()
	}
	return Change{what, path, why}
}

func (im *importer) added(k poolkeeper.Key, path, why string) {
	im.result.Added = append(im.result.Added, changeOf(k, path, why))
}

func (im *importer) changed(k poolkeeper.Key, path, why string) {
	im.result.Changed = append(im.result.Changed, changeOf(k, path, why))
}

func (im *importer) removed(k poolkeeper.Key, path string) {
	im.result.Removed = append(im.result.Removed, changeOf(k, path, ""))
}

func (im *importer) keep(k poolkeeper.Key, path, why string) {
	im.kept[k] = true
	im.result.Kept = append(im.result.Kept, changeOf(k, path, why))
}

// fieldNames lists runtime fields for people.
func fieldNames(fields []poolkeeper.Field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.String()
	}
	return strings.Join(names, ", ")
}
