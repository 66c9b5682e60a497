// Command gateway is the least code that embeds Poolkeeper: for each request it
// picks an account, calls the upstream with it, and counts what came of it. Run
// any number of it on one Redis; every use is counted once.
//
//	REDIS_URL=redis://127.0.0.1:6379 go run ./examples/gateway claude-kiro-oauth
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/redisstore"
	"github.com/poolkeeper/poolkeeper/replica"
)

func main() {
	if err := run(context.Background(), os.Getenv("REDIS_URL"), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, url string, args []string) error {
	if len(args) != 1 {
		return errors.New("give the provider type whose accounts are to be used")
	}
	redis, err := redisstore.Open(ctx, url, nil)
	if err != nil {
		return err
	}
	backend, err := replica.Open(ctx, redis, nil) // reads come from memory
	if err != nil {
		return err
	}
	store := poolkeeper.New(backend, nil)
	defer store.Close()

	account, err := pick(ctx, store, args[0])
	if err != nil {
		return err
	}
	if err := callUpstream(ctx, account); err != nil {
		res, e := store.Error(ctx, account.Ref(), poolkeeper.Failure{Message: err.Error()})
		return errors.Join(fmt.Errorf("%s failed %d times, healthy: %v", account.ID(), res.Count, res.Healthy), e)
	}
	res, err := store.Usage(ctx, account.Ref(), 1) // counted once, or an error that says what is known
	if err != nil {
		return err
	}
	fmt.Printf("%s was used %d times\n", account.ID(), res.Count)
	return nil
}

// pick returns, of the accounts that are healthy and enabled, the least used one.
func pick(ctx context.Context, store *poolkeeper.Store, typ string) (*poolkeeper.ProviderView, error) {
	view, err := store.View(ctx)
	if err != nil {
		return nil, err
	}
	pool := view.Pool(typ)
	if pool == nil {
		return nil, fmt.Errorf("there is no account of type %s", typ)
	}
	var best *poolkeeper.ProviderView
	for i := range pool.Len() {
		p := pool.At(i)
		if p.Healthy() && !p.Disabled() && (best == nil || p.Count(poolkeeper.UsageCount) < best.Count(poolkeeper.UsageCount)) {
			best = p
		}
	}
	if best == nil {
		return nil, fmt.Errorf("no account of type %s is healthy", typ)
	}
	return best, nil
}

// callUpstream is where a gateway would send the request, with the credentials
// in the definition of the account.
func callUpstream(_ context.Context, account *poolkeeper.ProviderView) error {
	if len(account.Definition()) == 0 {
		return errors.New("the account has no definition")
	}
	return nil
}
