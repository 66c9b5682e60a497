package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/client"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/server"
)

// A gateway in Go that uses a running service: all that differs from one that
// opens the store itself is the backend.
func Example() {
	ctx := context.Background()
	const key = "the-key-of-the-service"
	url, stop := service(key) // or unix:///…/poolkeeper.sock
	defer stop()

	backend, err := client.New(url, key, nil)
	if err != nil {
		log.Fatal(err)
	}
	store := poolkeeper.New(backend, nil)
	defer store.Close()

	account := poolkeeper.Ref{Type: "openai-custom", ID: "6b2d9e14"}
	used, err := store.Usage(ctx, account, 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(used.Status, used.Count)

	_, err = store.Usage(ctx, poolkeeper.Ref{Type: "openai-custom", ID: "none"}, 1)
	fmt.Println(errors.Is(err, poolkeeper.ErrNotFound))
	// Output:
	// applied 42
	// true
}

// An increment under a key of the caller's own counts once, also where the
// process that sent it first is another one.
func Example_idempotencyKey() {
	ctx := context.Background()
	url, stop := service("the-key-of-the-service")
	defer stop()
	op := poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey("openai-custom"), ID: "6b2d9e14", N: 5,
		IdempotencyKey: "request-8d0e1b7e"}
	for range 2 {
		backend, err := client.New(url, "the-key-of-the-service", nil)
		if err != nil {
			log.Fatal(err)
		}
		store := poolkeeper.New(backend, nil)
		fmt.Println(store.Apply(ctx, op)[0].Count)
		store.Close()
	}
	// Output:
	// 46
	// 46
}

// service serves a store in memory with one provider in it.
func service(key string) (url string, stop func()) {
	st := poolkeeper.New(memstore.New(nil), nil)
	if err := st.Restore(context.Background(), nil); err != nil {
		log.Fatal(err)
	}
	if _, err := st.AddProvider(context.Background(), "openai-custom", []byte(`{"uuid": "6b2d9e14", "usageCount": 41}`)); err != nil {
		log.Fatal(err)
	}
	hs := httptest.NewServer(server.New(st, &server.Options{Key: key}).Handler())
	return hs.URL, func() {
		hs.Close()
		st.Close()
	}
}
