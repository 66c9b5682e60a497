package configdir

import (
	"bytes"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/show"
)

// A DifferenceKind says in which way a thing differs.
type DifferenceKind string

// The kinds of differences.
const (
	Missing DifferenceKind = "missing in store"
	Extra   DifferenceKind = "only in store"
	Differs DifferenceKind = "differs"
)

// A Difference is one thing in which a directory and a store differ. It names
// the thing and the place, never the content.
type Difference struct {
	What  string         `json:"what"`            // the key or provider, as they print themselves
	Path  string         `json:"path,omitempty"`  // the file that it is, where it is one
	Where string         `json:"where,omitempty"` // the place in it: a JSON Pointer, "order", or "byte N"
	Kind  DifferenceKind `json:"kind"`

	Key poolkeeper.Key `json:"-"` // what it is about; a provider has the kind provider
}

// String prints the difference on one line.
func (d Difference) String() string {
	s := d.What
	if d.Path != "" && !strings.HasSuffix(s, show.Name(d.Path)) {
		s += " (" + show.Name(d.Path) + ")"
	}
	if d.Where != "" {
		s += " at " + d.Where
	}
	return s + ": " + string(d.Kind)
}

// A Comparison says how much was compared, and what differs.
type Comparison struct {
	Types       int          `json:"types"`
	Providers   int          `json:"providers"`
	Tokens      int          `json:"tokens"`
	Files       int          `json:"files"` // all other files and documents
	Sessions    int          `json:"sessions"`
	Differences []Difference `json:"differences"`
}

// Equal reports whether there is no difference.
func (c *Comparison) Equal() bool { return len(c.Differences) == 0 }

// Err returns nil, or an error with [poolkeeper.ErrDiffers] that names the
// first differences.
func (c *Comparison) Err() error {
	if c.Equal() {
		return nil
	}
	const most = 3
	var first []string
	for _, d := range c.Differences[:min(most, len(c.Differences))] {
		first = append(first, d.String())
	}
	detail := fmt.Sprintf("%d differences: %s", len(c.Differences), strings.Join(first, "; "))
	if len(c.Differences) == 1 {
		detail = "1 difference: " + first[0]
	} else if len(c.Differences) > most {
		detail += "; …"
	}
	return poolkeeper.Errorf(poolkeeper.ErrDiffers, "%s", detail)
}

// CompareOptions of [CompareSnapshots]. A nil *CompareOptions means all
// defaults.
type CompareOptions struct {
	// ContentOnly leaves the runtime state of providers out.
	ContentOnly bool
	// AllowExternal compares as directories that are written with
	// [WriteOptions.AllowExternal].
	AllowExternal bool
	// Dir is where the directory lies, where that is known: paths of tokens may
	// be absolute, or name it as it is called there.
	Dir string
	// Now is the clock by which sessions expire; time.Now where nil.
	Now func() time.Time
}

// CompareSnapshots compares what a directory holds with what a store holds, by
// content: as the directories that an export would make of the two. Of
// provider_pools.json the tokens are compared and white space is not, with the
// runtime state as readers see it; every other file is compared byte for byte.
//
// It fails only where no directory can be made of one of them.
func CompareSnapshots(dir, store *poolkeeper.Snapshot, opts *CompareOptions) (*Comparison, error) {
	if opts == nil {
		opts = &CompareOptions{}
	}
	now, x := clock(opts.Now), prefixesOf(opts.Dir)
	var (
		wg         sync.WaitGroup
		a, b       *layout
		errA, errB error
	)
	wg.Go(func() { a, errA = layOut(dir, x, now, opts.AllowExternal, false) })
	same := sameSnapshot(dir, store)
	if !same {
		b, errB = layOut(store, x, now, opts.AllowExternal, false)
	}
	wg.Wait()
	if errA != nil {
		return nil, errA
	}
	if errB != nil {
		return nil, errB
	}
	c := &comparer{a: a, b: b, contentOnly: opts.ContentOnly}
	c.Types, c.Providers, c.Tokens, c.Sessions = a.report.Types, a.report.Providers, a.report.TokenFiles, len(a.sessions)
	c.Files = len(a.files) - a.report.TokenFiles
	if same {
		return &c.Comparison, nil
	}
	c.types()
	c.sessions()
	c.files()
	return &c.Comparison, nil
}

// sameSnapshot reports whether two snapshots hold the same, so that one directory
// is made of both.
func sameSnapshot(a, b *poolkeeper.Snapshot) bool {
	return slices.Equal(a.Types, b.Types) &&
		maps.EqualFunc(a.Pools, b.Pools, func(x, y *poolkeeper.Pool) bool {
			return x != nil && y != nil && slices.EqualFunc(x.Providers, y.Providers, func(p, q poolkeeper.Provider) bool {
				return p.Ref == q.Ref && p.State == q.State && bytes.Equal(p.Definition, q.Definition)
			})
		}) &&
		maps.EqualFunc(a.Values, b.Values, func(x, y poolkeeper.Document) bool {
			return x.ExpiresAt == y.ExpiresAt && bytes.Equal(x.Data, y.Data)
		})
}

// prefixesOf makes the prefixes of a directory that was just read.
func prefixesOf(dir string) prefixes {
	if dir == "" {
		return prefixes{base: Name}
	}
	t, err := newTarget(dir, true)
	if err != nil {
		return prefixes{base: filepath.Base(dir)}
	}
	return t.prefixes
}
