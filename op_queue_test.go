package poolkeeper_test

import (
	"errors"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// What can wait for the store is a closed list: a new kind of op is not in it.
func TestQueueable(t *testing.T) {
	pool, token := poolkeeper.PoolKey("t"), poolkeeper.TokenKey(poolkeeper.Ref{Type: "t", ID: "a"})
	values := []poolkeeper.Key{poolkeeper.ConfigKey, poolkeeper.DocumentKey("d.json"), poolkeeper.SessionKey("s")}
	can := map[poolkeeper.OpKind]bool{
		poolkeeper.OpUsage: true, poolkeeper.OpError: true, poolkeeper.OpSuccess: true, poolkeeper.OpHealth: true,
		poolkeeper.OpRefresh: true, poolkeeper.OpReset: true, poolkeeper.OpAddProvider: true, poolkeeper.OpPutProvider: true,
		poolkeeper.OpPatchProvider: true, poolkeeper.OpDeleteProvider: true,
		poolkeeper.OpPut: true, poolkeeper.OpPatch: true, poolkeeper.OpDelete: true,
	}
	check := func(op poolkeeper.Op, want bool) {
		t.Helper()
		err := op.Queueable()
		if want != (err == nil) || err != nil && !errors.Is(err, poolkeeper.ErrUnavailable) {
			t.Errorf("%s of %s, if %q: %v", op.Kind, op.Key, op.If, err)
		}
	}
	for _, kind := range poolkeeper.OpKinds() {
		keys := []poolkeeper.Key{pool}
		if kind == poolkeeper.OpPut || kind == poolkeeper.OpPatch || kind == poolkeeper.OpDelete {
			keys = values
		}
		for _, key := range keys {
			check(poolkeeper.Op{Kind: kind, Key: key}, can[kind])
			check(poolkeeper.Op{Kind: kind, Key: key, If: poolkeeper.IfPresent}, false)
		}
	}
	for _, key := range []poolkeeper.Key{token, poolkeeper.PasswordKey, poolkeeper.FileKey("f"), poolkeeper.TokenRefKey("p")} {
		check(poolkeeper.Op{Kind: poolkeeper.OpPut, Key: key}, false)
	}
	check(poolkeeper.Op{Kind: poolkeeper.OpPatch, Key: token}, false)
	check(poolkeeper.Op{Kind: poolkeeper.OpPatch, Key: token, From: "h"}, true)
}
