package main

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

// TestGateway builds the example and runs several of it at once on a real Redis:
// every use is counted, on accounts that are healthy and enabled.
func TestGateway(t *testing.T) {
	srv := redistest.Start(t)
	backend, err := redisstore.Open(t.Context(), srv.URL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	store := poolkeeper.New(backend, nil)
	defer store.Close()
	snap := poolkeeper.NewSnapshot()
	pool := &poolkeeper.Pool{Type: "t"}
	for id, definition := range map[string]string{
		"a": `{"uuid":"a","usageCount":2}`, "b": `{"uuid":"b"}`, "c": `{"uuid":"c","isHealthy":false}`, "d": `{"uuid":"d","isDisabled":true}`,
	} {
		pool.Providers = append(pool.Providers, poolkeeper.Provider{Ref: poolkeeper.Ref{Type: "t", ID: id}, Definition: []byte(definition)})
	}
	snap.AddPool(pool)
	if err := store.Restore(context.Background(), snap); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(t.TempDir(), "gateway")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	gateway := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), bin, args...)
		cmd.Env = append(cmd.Environ(), "REDIS_URL="+srv.URL())
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := gateway("t"); err != nil || out != "b was used 1 times\n" {
		t.Errorf("%v: %s", err, out)
	}
	const n = 8
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if out, err := gateway("t"); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	p, err := store.Pool(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int64{}
	for i := range p.Providers {
		counts[p.Providers[i].ID] = p.Providers[i].Count(poolkeeper.UsageCount)
	}
	if counts["a"]+counts["b"] != 2+1+n || counts["c"]+counts["d"] != 0 {
		t.Errorf("the uses are %v", counts)
	}
	for _, args := range [][]string{nil, {"no-such-type"}} {
		if out, err := gateway(args...); err == nil || !strings.HasPrefix(out, "gateway: ") {
			t.Errorf("%v: %v: %s", args, err, out)
		}
	}
}
