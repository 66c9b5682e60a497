package transfer

import (
	"context"
	"crypto/rand"
	"encoding/hex"

	"github.com/poolkeeper/poolkeeper"
)

// mark says in a store in use that an import is unfinished, until finish is
// called. A run that was cut off leaves the mark, and the next one that ends
// takes it away, even if it finds nothing more to do.
func (im *importer) mark() (finish func() error, err error) {
	m, ok := im.st.Backend().(poolkeeper.ImportMarker)
	if !ok || im.total == 0 && im.store.Meta["importing"] == "" {
		return func() error { return nil }, nil
	}
	var id [8]byte
	rand.Read(id[:]) // never fails
	run := hex.EncodeToString(id[:])
	if err := m.MarkImport(im.ctx, run, true); err != nil {
		return nil, err
	}
	// All is done by then, whatever becomes of the caller.
	return func() error { return m.MarkImport(context.WithoutCancel(im.ctx), run, false) }, nil
}
