package storetest

import (
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// base is a time in the past by any clock, at which most ops are decided.
var base = time.Date(2026, 1, 25, 10, 30, 0, 0, time.UTC).UnixMilli()

// iso is the literal of a time as the gateway writes it.
func iso(ms int64) string { return string(rawjson.AppendTime(nil, ms)) }

func ref(typ, id string) poolkeeper.Ref { return poolkeeper.Ref{Type: typ, ID: id} }

func text(s string) *string { return &s }

// define writes a definition for an id, with more members after the uuid. A
// derived id is that of a definition without one.
func define(id, members string) []byte {
	b := []byte("{")
	if id[0] != '~' {
		b = append(append(b, `"uuid":`...), rawjson.Quote(id)...)
		if members != "" {
			b = append(b, ',')
		}
	}
	return append(append(b, members...), '}')
}

// on starts an op on a provider.
func on(kind poolkeeper.OpKind, r poolkeeper.Ref) poolkeeper.Op {
	return poolkeeper.Op{Kind: kind, Key: poolkeeper.PoolKey(r.Type), ID: r.ID, At: base}
}

func usage(r poolkeeper.Ref, n int64) poolkeeper.Op {
	op := on(poolkeeper.OpUsage, r)
	op.N = n
	return op
}

func add(r poolkeeper.Ref, members string) poolkeeper.Op {
	op := on(poolkeeper.OpAddProvider, r)
	op.Data = define(r.ID, members)
	return op
}

func put(r poolkeeper.Ref, members string) poolkeeper.Op {
	op := add(r, members)
	op.Kind = poolkeeper.OpPutProvider
	return op
}

func remove(r poolkeeper.Ref) poolkeeper.Op { return on(poolkeeper.OpDeleteProvider, r) }

func rename(r poolkeeper.Ref, id string) poolkeeper.Op {
	op := on(poolkeeper.OpRenameProvider, r)
	op.NewID = id
	return op
}

// merge makes a patch of a provider, mergeValue one of a value.
func merge(r poolkeeper.Ref, patch string) poolkeeper.Op {
	op := on(poolkeeper.OpPatchProvider, r)
	op.Patch, op.Data = poolkeeper.MergePatch, []byte(patch)
	return op
}

func mergeValue(key poolkeeper.Key, patch string) poolkeeper.Op {
	return poolkeeper.Op{Kind: poolkeeper.OpPatch, Key: key, Patch: poolkeeper.MergePatch, Data: []byte(patch), At: base}
}

// jsonPatch makes a patch op one in the dialect of RFC 6902.
func jsonPatch(op poolkeeper.Op, patch string) poolkeeper.Op {
	op.Patch, op.Data = poolkeeper.JSONPatch, []byte(patch)
	return op
}

func putValue(key poolkeeper.Key, data string) poolkeeper.Op {
	return poolkeeper.Op{Kind: poolkeeper.OpPut, Key: key, Data: []byte(data), At: base}
}

func removeValue(key poolkeeper.Key) poolkeeper.Op {
	return poolkeeper.Op{Kind: poolkeeper.OpDelete, Key: key, At: base}
}

func replace(typ string, providers ...poolkeeper.ProviderRecord) poolkeeper.Op {
	return poolkeeper.Op{Kind: poolkeeper.OpReplacePool, Key: poolkeeper.PoolKey(typ), Providers: providers, At: base}
}

func record(id, members string) poolkeeper.ProviderRecord {
	return poolkeeper.ProviderRecord{ID: id, Definition: define(id, members)}
}

func reorder(typ string, ids ...string) poolkeeper.Op {
	return poolkeeper.Op{Kind: poolkeeper.OpReorderPool, Key: poolkeeper.PoolKey(typ), Order: ids, At: base}
}

func reorderTypes(types ...string) poolkeeper.Op {
	return poolkeeper.Op{Kind: poolkeeper.OpReorderTypes, Key: poolkeeper.TypesKey, Order: types, At: base}
}

func removePool(typ string) poolkeeper.Op {
	return poolkeeper.Op{Kind: poolkeeper.OpDeletePool, Key: poolkeeper.PoolKey(typ), At: base}
}

// given puts a condition on an op.
func given(cond poolkeeper.If, op poolkeeper.Op) poolkeeper.Op {
	op.If = cond
	return op
}
