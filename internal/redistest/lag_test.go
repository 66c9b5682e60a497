package redistest

import (
	"context"
	"testing"
)

func TestCutOff(t *testing.T) {
	t.Parallel()
	master := Start(t)
	replica := Start(t, WithReplicaOf(master))
	master.DoString("SET", "k", "before")
	master.DoInt("WAIT", "1", "5000")
	replica.CutOff()
	master.DoString("SET", "k", "after")
	if n := master.DoInt("WAIT", "1", "1500"); n != 0 { // it tries again once a second
		t.Errorf("%d replicas have the write", n)
	}
	if got := replica.DoString("GET", "k"); got != "before" {
		t.Errorf("the replica has %q", got)
	}
	replica.Rejoin()
	replica.WaitSynced(master)
	if got := replica.DoString("GET", "k"); got != "after" {
		t.Errorf("the replica has %q when it follows again", got)
	}
}

func TestConfigure(t *testing.T) {
	t.Parallel()
	s := Start(t, WithConfig("maxmemory", "100mb"))
	s.Configure("maxmemory", "200mb")
	s.Restart()
	if got := s.DoStrings("CONFIG", "GET", "maxmemory"); len(got) != 2 || got[1] != "209715200" {
		t.Errorf("%q", got)
	}
}

func TestClusterReplica(t *testing.T) {
	t.Parallel()
	c := StartCluster(t, 3, WithAOF("always"))
	master := c.NodeFor("k")
	replica := c.AddReplica(master)
	if _, err := c.Do("k", "SET", "k", "v"); err != nil {
		t.Fatal(err)
	}
	replica.DoString("CLUSTER", "FAILOVER")
	replica.within(func(ctx context.Context) error {
		return poll(ctx, "the replica is no master", func() bool { return replica.Info("replication")["role"] == "master" })
	})
	c.WaitReplica(master, replica)
	c.WaitReady()
	if v, err := c.Do("k", "GET", "k"); err != nil || v != "v" || c.NodeFor("k") != replica {
		t.Errorf("k = %q on %s, %v", v, c.NodeFor("k").Addr(), err)
	}
}

func TestClusterRenew(t *testing.T) {
	t.Parallel()
	c := StartCluster(t, 3, WithAOF("always"))
	for _, k := range []string{"foo", "k", "b"} {
		if _, err := c.Do(k, "SET", k, "v"); err != nil {
			t.Fatal(err)
		}
	}
	n := c.NodeFor("foo")
	had := n.DoString("CLUSTER", "MYID")
	c.Renew(n)
	if n.DoString("CLUSTER", "MYID") == had || n.DoInt("DBSIZE") != 0 {
		t.Error("it is the one that it was")
	}
	for _, k := range []string{"foo", "k", "b"} {
		want := any("v")
		if c.NodeFor(k) == n {
			want = nil
		}
		if v, err := c.Do(k, "GET", k); err != nil || v != want {
			t.Errorf("%s = %v, %v", k, v, err)
		}
	}
}
