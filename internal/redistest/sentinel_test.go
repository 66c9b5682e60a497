package redistest

import (
	"context"
	"testing"
	"time"

	"github.com/redis/rueidis"
)

func TestSentinel(t *testing.T) {
	t.Parallel()
	began := time.Now()
	g := StartSentinel(t, WithPassword("pw"))
	t.Logf("formed in %v", time.Since(began))
	old := g.Master()
	old.DoString("SET", "k", "v")
	if n := old.DoInt("WAIT", "1", "5000"); n != 1 {
		t.Fatalf("%d replicas have the write", n)
	}

	o, err := rueidis.ParseURL(g.URL())
	if err != nil {
		t.Fatal(err)
	}
	client, err := rueidis.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if v, err := client.Do(ctx, client.B().Get().Key("k").Build()).ToString(); err != nil || v != "v" {
		t.Fatalf("k = %q, %v", v, err)
	}

	began = time.Now()
	now := g.Failover()
	t.Logf("failover in %v", time.Since(began))
	if now == old || now.Info("replication")["role"] != "master" || old.Info("replication")["role"] != "slave" {
		t.Fatalf("the replica was not promoted")
	}
	if g.Replica() != old {
		t.Error("the old master is not the replica")
	}
	if got := now.DoString("GET", "k"); got != "v" {
		t.Errorf("the new master has %q", got)
	}

	began = time.Now()
	now.Kill()
	if m := g.WaitMaster(now); m != old {
		t.Errorf("the surviving server is not the master")
	}
	t.Logf("takeover in %v", time.Since(began))
}
