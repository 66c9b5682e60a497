package redistest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// AddReplica starts a replica of one of the nodes, waits until all know it and it has
// the data, and returns it. It takes the place of that node where that is gone for some
// seconds, or when it is told to by CLUSTER FAILOVER. Nobody else may use the cluster
// meanwhile, which a test has started.
func (c *Cluster) AddReplica(master *Server) *Server {
	c.fail.helper()
	cfg, err := member(c.base, len(c.servers()))
	if err != nil {
		c.fail.fatalf("%v", err)
	}
	s, err := startBounded(cfg)
	if err != nil {
		c.fail.fatalf("%v", err)
	}
	s.attach(c.fail.tb)
	for _, n := range c.Nodes {
		s.must("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(n.port), strconv.Itoa(n.busPort))
	}
	id := master.DoString("CLUSTER", "MYID")
	s.within(func(ctx context.Context) error {
		return poll(ctx, "the replica does not know its master", func() bool {
			_, err := s.Do("CLUSTER", "REPLICATE", id)
			return err == nil
		})
	})
	c.Replicas = append(c.Replicas, s)
	c.WaitReplica(s, master)
	return s
}

// WaitReplica waits until a replica has the data of its master, and every node knows it
// as that: before, none votes for it.
func (c *Cluster) WaitReplica(replica, master *Server) {
	c.fail.helper()
	replica.WaitSynced(master)
	id, of := replica.DoString("CLUSTER", "MYID"), master.DoString("CLUSTER", "MYID")
	replica.within(func(ctx context.Context) error {
		return poll(ctx, "not every node knows the replica", func() bool {
			for _, n := range c.servers() {
				all, err := n.Do("CLUSTER", "NODES")
				if nodes, _ := all.(string); err != nil || !knowsReplica(nodes, id, of) {
					return false
				}
			}
			return true
		})
	})
}

// knowsReplica reports whether CLUSTER NODES has a node as a replica of another one.
func knowsReplica(nodes, id, of string) bool {
	for line := range strings.Lines(nodes) {
		if f := strings.Fields(line); len(f) > 3 && f[0] == id {
			return strings.Contains(f[2], "slave") && f[3] == of
		}
	}
	return false
}

// Renew starts a node again with an empty directory, as after its disk was replaced, and
// gives it the slots that it had at the start. To the others it is another one.
func (c *Cluster) Renew(s *Server) {
	c.fail.helper()
	i := slices.Index(c.Nodes, s)
	s.Kill()
	names, err := os.ReadDir(s.dir)
	for _, name := range names {
		err = errors.Join(err, os.RemoveAll(filepath.Join(s.dir, name.Name())))
	}
	if err != nil {
		c.fail.fatalf("%v", err)
	}
	s.Restart()
	// A later epoch than that of the node that had the slots.
	s.must("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(1000+i))
	n := len(c.Nodes)
	s.must("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(slotCount*i/n), strconv.Itoa(slotCount*(i+1)/n-1))
	for _, o := range c.servers() {
		if o != s {
			s.must("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(o.port), strconv.Itoa(o.busPort))
		}
	}
	c.WaitReady()
}
