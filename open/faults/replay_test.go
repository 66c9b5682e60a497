package faults_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// TestFaultsLiveInReplay: while what was queued is replayed, others write to the same
// keys. What stays of each is what was acknowledged last.
func TestFaultsLiveInReplay(t *testing.T) {
	const keys, queued = 25, 40
	srv := redistest.Start(t, redistest.WithAOF("always"))
	fill(t, srv.SocketURL())
	proxy := redistest.StartProxy(t, srv.Socket())
	h := openHole(t, proxy.URL())
	var last [keys]int // by key, the last one acknowledged
	var statuses [keys]map[poolkeeper.Status]int
	// Even keys are a field of a definition, odd ones a document.
	write := func(k, n int) {
		var res poolkeeper.Result
		var err error
		if k%2 == 0 {
			res, err = h.st.PatchProvider(context.Background(), refOf(k), poolkeeper.MergePatch, fmt.Appendf(nil, `{"live":%d}`, n), poolkeeper.Always)
		} else {
			res, err = h.st.PutDocument(context.Background(), fmt.Sprintf("live%d.json", k), fmt.Appendf(nil, `{"live":%d}`, n), poolkeeper.Always)
		}
		if err != nil {
			t.Errorf("key %d, %d: %v", k, n, err)
			return
		}
		last[k] = n
		statuses[k][res.Status]++
	}
	each := func(do func(k int)) {
		var wg sync.WaitGroup
		for k := range keys {
			wg.Go(func() { do(k) })
		}
		wg.Wait()
	}
	for k := range statuses {
		statuses[k] = map[poolkeeper.Status]int{}
	}
	proxy.Down()
	each(func(k int) {
		for n := range queued {
			write(k, n)
		}
	})
	h.mode(poolkeeper.ModeDegraded, poolkeeper.ModeFallback)
	proxy.Delay(5 * time.Millisecond) // so that the replay has a middle
	proxy.Up()
	h.mode(poolkeeper.ModeReplaying)
	each(func(k int) {
		for n := queued; n < 4*queued || statuses[k][poolkeeper.Applied] == 0; n++ {
			write(k, n)
			time.Sleep(time.Duration(k%5) * time.Millisecond)
		}
	})
	proxy.Delay(0)
	h.mode(poolkeeper.ModeOnline)
	live := 0
	for k := range keys {
		text := srv.DoString("GET", fmt.Sprintf("faults:doc:live%d.json", k))
		if k%2 == 0 {
			text = srv.DoString("HGET", "faults:pools:"+poolOf(k), refOf(k).ID)
		}
		fields, err := fieldsOf(text)
		if err != nil || fields["live"] != strconv.Itoa(last[k]) {
			t.Errorf("key %d has %s, and %d was acknowledged last (%v)", k, text, last[k], err)
		}
		live += statuses[k][poolkeeper.Queued] - queued
	}
	t.Logf("of the live writes %d were queued behind what was replayed", live)
	if live == 0 {
		t.Error("no write met the replay")
	}
}

// TestFaultsPoisoned: an op that the server cannot carry out is set aside, and those
// before and behind it go through; when it can, the op can be tried again.
func TestFaultsPoisoned(t *testing.T) {
	srv := redistest.Start(t, redistest.WithAOF("always"))
	fill(t, srv.SocketURL())
	proxy := redistest.StartProxy(t, srv.Socket())
	h := openHole(t, proxy.URL())
	ctx := context.Background()
	proxy.Down()
	key := func(n int) string { return fmt.Sprint("key", n) }
	poison := "faults:once:{faults:pools:" + poolOf(0) + "}:" + poolkeeper.ETag([]byte(key(7)))
	srv.DoString("LPUSH", poison, "not a string")
	srv.DoString("LPUSH", "faults:doc:bad.json", "not a string")
	for n := range 20 {
		res := h.st.Apply(ctx, poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey(poolOf(0)), ID: refOf(0).ID, N: 1, IdempotencyKey: key(n)})[0]
		if res.Status != poolkeeper.Queued {
			t.Fatalf("%+v", res)
		}
	}
	for _, name := range []string{"bad.json", "good.json"} {
		if res, err := h.st.PutDocument(ctx, name, []byte(`{}`), poolkeeper.Always); err != nil || res.Status != poolkeeper.Queued {
			t.Fatalf("%+v, %v", res, err)
		}
	}
	proxy.Up()
	h.mode(poolkeeper.ModeOnline)
	count := func() string {
		k, field := countKey(0)
		return srv.DoString("HGET", k, field)
	}
	if got := count(); got != "19" || srv.DoString("GET", "faults:doc:good.json") != "{}" {
		t.Errorf("the count is %s, and good.json %q", got, srv.DoString("GET", "faults:doc:good.json"))
	}
	pending, err := h.st.Pending(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var aside []string
	for _, a := range pending.Aside {
		aside = append(aside, string(a.Kind)+" "+a.Of)
	}
	if got := strings.Join(aside, ", "); got != "usage pool0 p0, put document bad.json" {
		t.Errorf("set aside are %s", got)
	}
	srv.DoString("DEL", poison, "faults:doc:bad.json")
	if _, err := h.st.RetryAside(ctx, poolkeeper.Pick{All: true}); err != nil {
		t.Fatal(err)
	}
	until(t, "what was mended is applied", func() bool {
		return count() == "20" && srv.DoString("GET", "faults:doc:bad.json") == "{}"
	})
}
