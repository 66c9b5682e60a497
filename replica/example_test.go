package replica_test

import (
	"context"
	"fmt"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/replica"
)

// A gateway that picks, for each request, the healthy account that was used the
// least. The source would be a redisstore, or a client of a service.
func Example() {
	ctx := context.Background()
	source := memstore.New(nil)
	if err := source.Restore(ctx, nil); err != nil {
		fmt.Println(err)
		return
	}
	backend, err := replica.Open(ctx, source, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	store := poolkeeper.New(backend, nil)
	defer store.Close() // closes the source as well

	for _, definition := range []string{`{"uuid":"a","usageCount":5}`, `{"uuid":"b","usageCount":2}`, `{"uuid":"c","isHealthy":false}`} {
		if _, err := store.AddProvider(ctx, "claude-kiro-oauth", []byte(definition)); err != nil {
			fmt.Println(err)
			return
		}
	}
	view, err := store.View(ctx) // no lock, no copy: take one for each request
	if err != nil {
		fmt.Println(err)
		return
	}
	pool := view.Pool("claude-kiro-oauth")
	var best *poolkeeper.ProviderView
	for i := range pool.Len() {
		p := pool.At(i)
		if p.Healthy() && !p.Disabled() && (best == nil || p.Count(poolkeeper.UsageCount) < best.Count(poolkeeper.UsageCount)) {
			best = p
		}
	}
	res, err := store.Usage(ctx, best.Ref(), 1)
	fmt.Println(best.ID(), "was used", res.Count, "times", err)
	// Output: b was used 3 times <nil>
}
