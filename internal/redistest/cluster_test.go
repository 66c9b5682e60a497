package redistest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/rueidis"
)

func TestSlot(t *testing.T) {
	for key, want := range map[string]int{
		"123456789": 0x31C3, "foo": 12182, "{foo}bar": 12182, "a{foo}{bar}": 12182,
		"foo{}{bar}": 8363, "": 0,
	} {
		if got := Slot(key); got != want {
			t.Errorf("Slot(%q) = %d, want %d", key, got, want)
		}
	}
}

func TestCluster(t *testing.T) {
	t.Parallel()
	began := time.Now()
	c := StartCluster(t, 3, WithAOF("always"))
	t.Logf("formed in %v", time.Since(began))

	for i := range 30 {
		k := fmt.Sprintf("k%d", i)
		if n := c.NodeFor(k).DoInt("CLUSTER", "KEYSLOT", k); int(n) != Slot(k) {
			t.Fatalf("slot of %s is %d, not %d", k, n, Slot(k))
		}
		if _, err := c.Do(k, "SET", k, "v"); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range c.Nodes {
		if n.DoInt("DBSIZE") == 0 {
			t.Errorf("no keys on %s", n.Addr())
		}
	}
	if n := len(c.Dump()); n != 30 {
		t.Errorf("%d keys in the dump", n)
	}

	o, err := rueidis.ParseURL(c.URL())
	if err != nil {
		t.Fatal(err)
	}
	client, err := rueidis.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx := context.Background()
	for i := range 30 {
		if v, err := client.Do(ctx, client.B().Get().Key(fmt.Sprintf("k%d", i)).Build()).ToString(); err != nil || v != "v" {
			t.Fatalf("k%d = %q, %v", i, v, err)
		}
	}

	// A slot that has moved: the first answer is a redirection.
	key := "moving"
	from := c.NodeFor(key)
	to := c.Nodes[0]
	if to == from {
		to = c.Nodes[1]
	}
	id := to.DoString("CLUSTER", "MYID")
	for _, n := range []*Server{to, from} {
		n.DoString("CLUSTER", "SETSLOT", fmt.Sprint(Slot(key)), "NODE", id)
	}
	if _, err := c.Do(key, "SET", key, "v"); err != nil {
		t.Fatal(err)
	}
	if c.NodeFor(key) != to {
		t.Error("the redirection was not learned")
	}

	n := c.NodeFor("k1")
	n.Restart()
	c.WaitReady()
	if v, err := c.Do("k1", "GET", "k1"); err != nil || v != "v" {
		t.Errorf("after a restart: %v, %v", v, err)
	}
	c.FlushAll()
	if len(c.Keys("*")) != 0 {
		t.Error("keys after FlushAll")
	}
}

func TestClusterTLS(t *testing.T) {
	t.Parallel()
	c := StartCluster(t, 2, WithTLS(), WithPassword("pw"))
	if _, err := c.Do("k", "SET", "k", "v"); err != nil {
		t.Fatal(err)
	}
	o, err := rueidis.ParseURL(c.URL())
	if err != nil {
		t.Fatal(err)
	}
	o.TLSConfig = c.Nodes[0].TLSConfig()
	client, err := rueidis.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if v, err := client.Do(context.Background(), client.B().Get().Key("k").Build()).ToString(); err != nil || v != "v" {
		t.Errorf("k = %q, %v", v, err)
	}
}
