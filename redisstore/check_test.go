package redisstore_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

// TestReadWhileRestored: whoever looked at the store just before it was
// initialised does not take it for one that has lost its content.
func TestReadWhileRestored(t *testing.T) {
	url := redistest.Start(t).SocketURL()
	for round := range 40 {
		s, err := redisstore.Open(t.Context(), url, &redisstore.Options{Prefix: fmt.Sprintf("r%d:", round)})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for {
					_, err := s.Load(t.Context(), poolkeeper.ConfigKey)
					switch {
					case err == nil:
						return
					case !errors.Is(err, poolkeeper.ErrUninitialized):
						t.Errorf("round %d: %v", round, err)
						return
					}
				}
			})
		}
		if err := s.Restore(t.Context(), poolkeeper.NewSnapshot()); err != nil {
			t.Error(err)
		}
		wg.Wait()
		s.Close()
	}
}
