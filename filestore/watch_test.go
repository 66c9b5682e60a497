package filestore_test

import (
	"context"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/filestore"
)

// What others write into the files is told when it is merged.
func TestWatchEditsByOthers(t *testing.T) {
	dir := editDir(t)
	s := openAt(t, dir, &filestore.Options{Lag: time.Millisecond, Poll: time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	a, put, value := poolkeeper.PoolKey("t"), false, false
	err := s.Watch(ctx, func(c poolkeeper.Change) {
		switch {
		case c.Kind == poolkeeper.ChangeReady:
			apply(t, dir, edit{"config.json": `{"a":1,"b":2}`, "provider_pools.json": `{"t":[{"uuid":"a","note":2,"other":1,"usageCount":5,"X_TOKEN_FILE_PATH":"configs/k/a.json"},` +
				`{"uuid":"b","note":1,"usageCount":7},{"name":"no uuid","usageCount":1}],"u":[{"uuid":"z"}]}`})
		case c.Key == a:
			put = true
		case c.Key == poolkeeper.ConfigKey:
			value = true
		}
		if put && value {
			cancel()
		}
	})
	if !put || !value {
		t.Errorf("pool told: %v, configuration told: %v; Watch returned %v", put, value, err)
	}
}
