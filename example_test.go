package poolkeeper_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// one is the provider of the examples.
var one = poolkeeper.Ref{Type: "openai-custom", ID: "6b2d9e14"}

// newStore returns a store in memory with one provider in it, at a fixed time.
func newStore() *poolkeeper.Store {
	now := func() time.Time { return time.Date(2026, 6, 1, 9, 30, 0, 0, time.UTC) }
	st := poolkeeper.New(memstore.New(&memstore.Options{Now: now}), &poolkeeper.Options{Now: now})
	check(st.Restore(context.Background(), poolkeeper.NewSnapshot()))
	_, err := st.AddProvider(context.Background(), one.Type, []byte(`{"uuid": "6b2d9e14", "weight": 1.0, "usageCount": 41}`))
	check(err)
	return st
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// A store in memory, a provider, and what a gateway does with it. In Redis only
// the first two lines are others: redisstore.Open in the place of memstore.New,
// and no Restore where the store is initialised already.
func Example() {
	ctx := context.Background()
	st := poolkeeper.New(memstore.New(nil), nil)
	defer st.Close()
	if err := st.Restore(ctx, poolkeeper.NewSnapshot()); err != nil {
		log.Fatal(err)
	}
	added, err := st.AddProvider(ctx, "openai-custom", []byte(`{"customName":"First"}`))
	if err != nil {
		log.Fatal(err)
	}
	account := poolkeeper.Ref{Type: "openai-custom", ID: added.ID} // a random uuid

	used, err := st.Usage(ctx, account, 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(used.Status, used.Count)

	pool, err := st.Pool(ctx, "openai-custom")
	if err != nil {
		log.Fatal(err)
	}
	for i := range pool.Providers {
		p := &pool.Providers[i]
		fmt.Println(p.Healthy(), p.Count(poolkeeper.UsageCount))
	}
	// Output:
	// applied 1
	// true 1
}

// An increment answers with the new count. What traffic changes is laid over
// the definition, whose other bytes stay as they are.
func ExampleStore_Usage() {
	ctx, st := context.Background(), newStore()
	defer st.Close()
	r, err := st.Usage(ctx, one, 1)
	check(err)
	fmt.Println(r.Status, r.Count)

	p, err := st.Provider(ctx, one)
	check(err)
	effective, err := p.JSON()
	check(err)
	fmt.Printf("%s\n%s\n", p.Definition, effective)
	// Output:
	// applied 42
	// {"uuid": "6b2d9e14", "weight": 1.0, "usageCount": 41}
	// {"uuid": "6b2d9e14", "weight": 1.0, "usageCount": 42, "lastUsed": "2026-06-01T09:30:00.000Z"}
}

// Errors in a row make a provider unhealthy; a success makes it healthy again.
func ExampleStore_Error() {
	ctx, st := context.Background(), newStore()
	defer st.Close()
	threshold := int64(2)
	for range 2 {
		r, err := st.Error(ctx, one, poolkeeper.Failure{Message: "429 from upstream", Threshold: &threshold})
		check(err)
		fmt.Println(r.Count, r.Healthy)
	}
	r, err := st.Success(ctx, one, 1, "")
	check(err)
	fmt.Println(r.Count, r.Healthy)
	// Output:
	// 1 true
	// 2 false
	// 42 true
}

// An edit changes the field that it names, and no other byte. The uuid and what
// traffic changes are not edited this way.
func ExampleStore_PatchProvider() {
	ctx, st := context.Background(), newStore()
	defer st.Close()
	_, err := st.PatchProvider(ctx, one, poolkeeper.MergePatch, []byte(`{"weight":2}`), poolkeeper.Always)
	check(err)
	p, err := st.Provider(ctx, one)
	check(err)
	fmt.Printf("%s\n", p.Definition)

	_, err = st.PatchProvider(ctx, one, poolkeeper.MergePatch, []byte(`{"usageCount":0}`), poolkeeper.Always)
	fmt.Println(errors.Is(err, poolkeeper.ErrInvalid), "–", poolkeeper.HintOf(err))
	// Output:
	// {"uuid": "6b2d9e14", "weight": 2, "usageCount": 41}
	// true – use usage, error, success, health or reset
}

// A refresh is written on top of the token that it came from: of two, the one
// that comes later is refused, and undoes nothing.
func ExampleStore_PutToken() {
	ctx, st := context.Background(), newStore()
	defer st.Close()
	_, err := st.PutToken(ctx, one, []byte(`{"refreshToken":"FAKE-1"}`), poolkeeper.IfAbsent)
	check(err)
	seen, err := st.Token(ctx, one)
	check(err)
	for _, next := range []string{`{"refreshToken":"FAKE-2"}`, `{"refreshToken":"FAKE-3"}`} {
		_, err := st.PutToken(ctx, one, []byte(next), poolkeeper.If(seen.ETag()))
		fmt.Println(err == nil, errors.Is(err, poolkeeper.ErrConflict))
	}
	// Output:
	// true false
	// false true
}

// Several ops go in one call. Each is applied whole or not at all; one that is
// refused does not hold up the others.
func ExampleStore_Apply() {
	ctx, st := context.Background(), newStore()
	defer st.Close()
	use := func(id string) poolkeeper.Op {
		return poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey(one.Type), ID: id, N: 1}
	}
	for _, r := range st.Apply(ctx, use(one.ID), use("nobody"), use(one.ID)) {
		fmt.Println(r.Count, errors.Is(r.Err, poolkeeper.ErrNotFound))
	}
	// Output:
	// 42 false
	// 0 true
	// 43 false
}
