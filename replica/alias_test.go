package replica_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// TestOldIDs: an old id leads to the provider as it does in the store, whether the
// copy was told of the rename or not, and ends as it does there.
func TestOldIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New(nil)
		if err := store.Restore(t.Context(), filled(1)); err != nil {
			t.Fatal(err)
		}
		source := &faulty{Store: store}
		direct := poolkeeper.New(store, nil)
		do := func(ops ...poolkeeper.Op) {
			t.Helper()
			for _, res := range store.Apply(t.Context(), ops...) {
				if res.Err != nil {
					t.Fatal(res.Err)
				}
			}
			synctest.Wait()
		}
		key := poolkeeper.PoolKey("claude-kiro-oauth")
		add := func(id string) poolkeeper.Op {
			return poolkeeper.Op{Kind: poolkeeper.OpAddProvider, Key: key, ID: id, Data: fmt.Appendf(nil, `{"uuid":%q}`, id)}
		}
		rename := func(id, to string) poolkeeper.Op {
			return poolkeeper.Op{Kind: poolkeeper.OpRenameProvider, Key: key, ID: id, NewID: to}
		}
		remove := func(id string) poolkeeper.Op {
			return poolkeeper.Op{Kind: poolkeeper.OpDeleteProvider, Key: key, ID: id}
		}
		do(add("before"), rename("before", "present"))
		b := over(t, source, time.Now)
		st := poolkeeper.New(b, nil)
		defer st.Close()
		same := func(when string) {
			t.Helper()
			for _, id := range []string{"before", "present", "a", "b", "c", "none"} {
				ref := poolkeeper.Ref{Type: key.Type, ID: id}
				want, e1 := direct.Provider(t.Context(), ref)
				got, e2 := st.Provider(t.Context(), ref)
				if (e1 == nil) != (e2 == nil) || e1 == nil && want.ID != got.ID {
					t.Errorf("%s, %s is %v, %v; in the store %v, %v", when, id, got, e2, want, e1)
				}
			}
		}
		same("at first")
		loads := source.loads.Load()
		same("again")
		if n := source.loads.Load() - loads; n > 0 {
			t.Errorf("what is known was asked %d times", n)
		}
		do(add("a"), rename("a", "b"))
		same("renamed")
		do(rename("b", "c"))
		same("renamed again")
		do(add("a"))
		same("with another under the old id")
		do(remove("a"))
		same("and without it")
		do(remove("c"), add("b"))
		same("with another under the id between")
		do(remove("present"), add("present"))
		same("deleted and added")
	})
}
