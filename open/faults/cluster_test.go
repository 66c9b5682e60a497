package faults_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// TestFaultsResharding: slots move to another node while their keys are written.
func TestFaultsResharding(t *testing.T) {
	t.Parallel()
	seeds(t, func(t *testing.T, seed uint64) {
		c := redistest.StartCluster(t, 3)
		fill(t, c.URL())
		all := newCrowd(t, c.URL(), seed)
		all.more(300)
		times := 10
		if bounded() {
			times = 2
		}
		r := rand.New(rand.NewPCG(seed, 1<<32))
		for range times {
			for p := range poolCount {
				key, _ := countKey(p)
				reshard(t, c, key, c.Nodes[r.IntN(len(c.Nodes))])
				all.more(50)
			}
		}
		all.finish(onCluster(c))
		all.nothingLost()
	})
}

// reshard moves the slot of a key to a node, key by key, as redis-cli does.
func reshard(t *testing.T, c *redistest.Cluster, key string, to *redistest.Server) {
	t.Helper()
	must := func(v any, err error) any {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if _, err := c.Do(key, "EXISTS", key); err != nil { // learns where it is
		t.Fatal(err)
	}
	from, slot := c.NodeFor(key), strconv.Itoa(redistest.Slot(key))
	if from == to {
		return
	}
	must(to.Do("CLUSTER", "SETSLOT", slot, "IMPORTING", from.DoString("CLUSTER", "MYID")))
	must(from.Do("CLUSTER", "SETSLOT", slot, "MIGRATING", to.DoString("CLUSTER", "MYID")))
	for {
		names := from.DoStrings("CLUSTER", "GETKEYSINSLOT", slot, "1")
		if len(names) == 0 {
			break
		}
		must(from.Do("MIGRATE", "127.0.0.1", strconv.Itoa(to.Port()), names[0], "0", "5000"))
	}
	id := to.DoString("CLUSTER", "MYID")
	must(to.Do("CLUSTER", "SETSLOT", slot, "NODE", id))
	must(from.Do("CLUSTER", "SETSLOT", slot, "NODE", id))
	for _, n := range c.Nodes {
		if n != to && n != from {
			must(n.Do("CLUSTER", "SETSLOT", slot, "NODE", id))
		}
	}
}

// TestFaultsNodeRestarted: one node of a cluster is killed and comes back with its
// append-only file.
func TestFaultsNodeRestarted(t *testing.T) {
	t.Parallel()
	seeds(t, func(t *testing.T, seed uint64) {
		c := redistest.StartCluster(t, 3, redistest.WithAOF("always"))
		fill(t, c.URL())
		all := newCrowd(t, c.URL(), seed)
		all.more(300)
		for _, n := range c.Nodes {
			before := all.queued.Load()
			n.Kill()
			until(t, "ops are queued", func() bool { return all.queued.Load() >= before+20 })
			n.Restart()
			c.WaitReady()
			all.more(100)
		}
		all.finish(onCluster(c))
		all.nothingLost()
	})
}

// TestFaultsClusterFailover: the replica of a node of a cluster takes its place: when it
// is told to, having everything; and when the node is killed, having been cut off before.
func TestFaultsClusterFailover(t *testing.T) {
	t.Parallel()
	for what, succeed := range map[string]func(*testing.T, *crowd, *redistest.Server, *redistest.Server){
		"orderly": func(t *testing.T, _ *crowd, _, replica *redistest.Server) {
			if _, err := replica.Do("CLUSTER", "FAILOVER"); err != nil {
				t.Fatal(err)
			}
		},
		"lagging": func(t *testing.T, all *crowd, master, replica *redistest.Server) {
			replica.CutOff()
			had := sumOf(onNode(replica))
			all.more(300)
			if has := sumOf(onNode(master)); has <= had {
				t.Errorf("the node has %d, and its replica, which was cut off, %d", has, had)
			}
			master.Kill()
		},
	} {
		t.Run(what, func(t *testing.T) {
			seeds(t, func(t *testing.T, seed uint64) {
				c := redistest.StartCluster(t, 3, redistest.WithAOF("always"))
				key, _ := countKey(0)
				master := c.NodeFor(key)
				replica := c.AddReplica(master)
				fill(t, c.URL())
				all := newCrowd(t, c.URL(), seed)
				times := 2 // Redis 7.0 takes votes of the last seconds for those of another change to the same server
				if bounded() {
					times = 1
				}
				for range times {
					all.more(300)
					succeed(t, all, master, replica)
					until(t, "the replica is the master", func() bool { return replica.Info("replication")["role"] == "master" })
					if !master.Running() {
						master.Restart()
					}
					replica.Rejoin()
					c.WaitReplica(master, replica)
					c.WaitReady()
					master, replica = replica, master
				}
				all.more(300)
				all.finish(onCluster(c))
				all.nothingLost()
			})
		})
	}
}

// onNode reads the counts that one server of a cluster has.
func onNode(srv *redistest.Server) func(key, field string) string {
	return func(key, field string) string {
		replies, err := srv.Pipeline([]string{"READONLY"}, []string{"HGET", key, field}, []string{"READWRITE"})
		if err != nil {
			return err.Error()
		}
		return fmt.Sprint(replies[1])
	}
}
