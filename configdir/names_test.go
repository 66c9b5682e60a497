package configdir

import (
	"errors"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// TestDocumentsHaveOneName holds the files that are documents to the names that
// the store takes: the name of the file, and not the one without its ".json",
// which would be a second document beside it.
func TestDocumentsHaveOneName(t *testing.T) {
	for name := range documents {
		if err := poolkeeper.ValidateDocumentName(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		err := poolkeeper.ValidateDocumentName(strings.TrimSuffix(name, ".json"))
		if !errors.Is(err, poolkeeper.ErrInvalid) || !strings.HasSuffix(poolkeeper.HintOf(err), ": "+name) {
			t.Errorf("%s without its .json: %v", name, err)
		}
	}
}
