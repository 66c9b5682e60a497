package filestore

import (
	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/show"
)

// inside refuses an op that begins a token in a file outside of the parent of the
// directory. The gateway would go on to read that file, which is not ours to
// write, and not see the token. An entry that is there, as it came with a Restore,
// stays and may change: it is kept in the state directory alone, and listed.
func (s *Store) inside(op *poolkeeper.Op) error {
	if op.Kind != poolkeeper.OpPut || op.Key.Kind != poolkeeper.KindTokenRefs || op.If != poolkeeper.IfAbsent {
		return nil
	}
	if _, outside := poolkeeper.NormalizeTokenPath(op.Key.Name); !outside {
		return nil
	}
	return poolkeeper.Errorf(poolkeeper.ErrForbidden, "the token file %s lies outside of the parent of %s, and is neither read nor written", show.Clip(op.Key.Name), s.dir).
		WithHint("let the provider name a file inside, such as configs/TYPE/NAME.json: poolkeeper provider set; or keep the state in Redis, into which import --allow-external takes it")
}
