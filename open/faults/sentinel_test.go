package faults_test

import (
	"strconv"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// TestFaultsFailover: Sentinel makes the replica, which has everything, the master,
// forth and back.
func TestFaultsFailover(t *testing.T) {
	t.Parallel()
	seeds(t, func(t *testing.T, seed uint64) {
		g := redistest.StartSentinel(t, redistest.WithAOF("always"))
		fill(t, g.URL())
		all := newCrowd(t, g.URL(), seed)
		all.more(300)
		times := 4
		if bounded() {
			times = 1
		}
		for range times {
			// An orderly change of master, as for an upgrade: nothing is lost by it.
			master, replica := g.Master(), g.Replica()
			if _, err := master.Do("FAILOVER", "TO", "127.0.0.1", strconv.Itoa(replica.Port()), "TIMEOUT", "10000"); err != nil {
				t.Fatal(err)
			}
			until(t, "the replica is the master", func() bool { return replica.Info("replication")["role"] == "master" })
			g.WaitMaster(master)
			all.more(100)
		}
		all.finish(onServer(g.Master()))
		all.nothingLost()
	})
}

// TestFaultsLaggingReplica: Sentinel makes a replica the master that had been cut off
// for a while. Each instance brings what that lacks, and all of it is there, once:
// whether the former master was killed, or is alive and follows.
func TestFaultsLaggingReplica(t *testing.T) {
	t.Parallel()
	for what, succeed := range map[string]func(*redistest.Sentinel){
		"killed": func(g *redistest.Sentinel) {
			master := g.Master()
			master.Kill()
			g.WaitMaster(master).Rejoin()
			master.Restart()
			master.WaitSynced(g.Master())
		},
		"alive": func(g *redistest.Sentinel) { g.Failover().Rejoin() },
	} {
		t.Run(what, func(t *testing.T) {
			seeds(t, func(t *testing.T, seed uint64) {
				g := redistest.StartSentinel(t, redistest.WithAOF("always"))
				fill(t, g.URL())
				all := newCrowd(t, g.URL(), seed)
				times := 4
				if bounded() {
					times = 1
				}
				for range times {
					all.more(300)
					master, replica := g.Master(), g.Replica()
					replica.CutOff()
					had := sumOf(onServer(replica))
					all.more(300)
					if has := sumOf(onServer(master)); has <= had {
						t.Errorf("the master has %d, and the replica, which was cut off, %d", has, had)
					}
					succeed(g)
					if g.Master() != replica {
						t.Fatal("the replica is not the master")
					}
				}
				all.more(100)
				all.finish(onServer(g.Master()))
				all.nothingLost()
			})
		})
	}
}
