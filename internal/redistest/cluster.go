package redistest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Cluster is a Redis Cluster of masters, each with an equal share of the slots, and
// of the replicas that were added.
type Cluster struct {
	// Nodes are the servers in the order of their slots. It must not be changed.
	Nodes []*Server
	// Replicas are those of [Cluster.AddReplica].
	Replicas []*Server

	fail failer
	mu   sync.Mutex
	// owner :: slot → index in Nodes and Replicas; corrected by the redirections seen.
	owner [slotCount]int
	base  *config
}

// StartCluster starts a cluster of that many nodes, at least one, and waits
// until every node has seen all slots served. Options hold for each node.
func StartCluster(tb testing.TB, nodes int, opts ...Option) *Cluster {
	tb.Helper()
	requireBinary(tb)
	c, err := startCluster(nodes, opts)
	if err != nil {
		tb.Fatal(err)
	}
	c.fail.tb = tb
	for _, n := range c.Nodes {
		n.attach(tb)
	}
	return c
}

// StartClusterMain is [StartCluster] without a test, as [StartMain].
func StartClusterMain(nodes int, opts ...Option) (*Cluster, func(), error) {
	c, err := startCluster(nodes, opts)
	if err != nil {
		return nil, nil, err
	}
	return c, func() { closeAll(c.Nodes) }, nil
}

func startCluster(nodes int, opts []Option) (*Cluster, error) {
	if nodes < 1 {
		return nil, fmt.Errorf("redistest: a cluster of %d nodes", nodes)
	}
	d, err := startTimeout()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	base, err := groupConfig(opts)
	if err != nil {
		return nil, err
	}
	base.role = roleCluster
	cfgs := make([]*config, nodes)
	for i := range cfgs {
		if cfgs[i], err = member(base, i); err != nil {
			return nil, err
		}
	}
	servers, err := startAll(ctx, cfgs)
	if err != nil {
		return nil, err
	}
	c := &Cluster{Nodes: servers, base: base}
	if err := c.form(ctx); err != nil {
		closeAll(servers)
		return nil, fmt.Errorf("redistest: form cluster: %w", err)
	}
	return c, nil
}

// form gives the nodes their epochs and slots, and makes them know each other.
func (c *Cluster) form(ctx context.Context) error {
	n := len(c.Nodes)
	for i, s := range c.Nodes {
		first, last := slotCount*i/n, slotCount*(i+1)/n-1
		for slot := first; slot <= last; slot++ {
			c.owner[slot] = i
		}
		if _, err := s.Do("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1)); err != nil {
			return err
		}
		if _, err := s.Do("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(first), strconv.Itoa(last)); err != nil {
			return err
		}
		// Every pair is introduced, as gossip would take seconds.
		for _, o := range c.Nodes[:i] {
			if _, err := s.Do("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(o.port), strconv.Itoa(o.busPort)); err != nil {
				return err
			}
		}
	}
	return c.waitReady(ctx)
}

func (c *Cluster) waitReady(ctx context.Context) error {
	return poll(ctx, "not every node reports cluster_state:ok", func() bool {
		for _, s := range c.servers() {
			info, err := clusterInfo(s)
			if err != nil || info["cluster_state"] != "ok" ||
				info["cluster_slots_ok"] != strconv.Itoa(slotCount) ||
				info["cluster_size"] != strconv.Itoa(len(c.Nodes)) {
				return false
			}
		}
		return true
	})
}

func clusterInfo(s *Server) (map[string]string, error) {
	v, err := s.Do("CLUSTER", "INFO")
	if err != nil {
		return nil, err
	}
	str, err := text(v)
	return infoFields(str), err
}

// WaitReady waits until every node reports cluster_state:ok, as it does some
// time after a node came back.
func (c *Cluster) WaitReady() {
	c.fail.helper()
	d, err := startTimeout()
	if err != nil {
		c.fail.fatalf("%v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if err := c.waitReady(ctx); err != nil {
		c.fail.fatalf("%v", err)
	}
}

func (c *Cluster) servers() []*Server { return slices.Concat(c.Nodes, c.Replicas) }

// Addrs returns the addresses of the nodes.
func (c *Cluster) Addrs() []string { return addrs(c.Nodes) }

func addrs(servers []*Server) []string {
	out := make([]string, len(servers))
	for i, s := range servers {
		out[i] = s.Addr()
	}
	return out
}

// URL returns redis://host:port?addr=host:port&…&cluster=true with all nodes.
func (c *Cluster) URL() string {
	return c.Nodes[0].url(c.Nodes[0].password, url.Values{"cluster": {"true"}, "addr": c.Addrs()[1:]})
}

// NodeFor returns the node that owns the slot of key, as assigned at the start
// or as [Cluster.Do] has learned since.
func (c *Cluster) NodeFor(key string) *Server {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.servers()[c.owner[Slot(key)]]
}

// Do runs a command on the node that owns key, which is not added to args. It
// follows a redirection of a moved slot. See [Server.Do].
func (c *Cluster) Do(key string, args ...string) (any, error) {
	for range len(c.servers()) {
		v, err := c.NodeFor(key).Do(args...)
		var e Error
		if !errors.As(err, &e) || !c.learn(string(e)) {
			return v, err
		}
	}
	return nil, fmt.Errorf("redistest: slot %d is redirected in a circle", Slot(key))
}

// learn takes note of "MOVED slot host:port" and reports whether it was one.
func (c *Cluster) learn(e string) bool {
	f := strings.Fields(e)
	if len(f) != 3 || f[0] != "MOVED" {
		return false
	}
	slot, err := strconv.Atoi(f[1])
	if err != nil || slot < 0 || slot >= slotCount {
		return false
	}
	for i, n := range c.servers() {
		if n.Addr() == f[2] {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.owner[slot] = i
			return true
		}
	}
	return false
}

// ForEach calls f with each node in turn.
func (c *Cluster) ForEach(f func(*Server)) {
	for _, n := range c.Nodes {
		f(n)
	}
}

// Keys returns the keys of all nodes that match a glob pattern.
func (c *Cluster) Keys(pattern string) []string {
	c.fail.helper()
	var keys []string
	for _, n := range c.Nodes {
		keys = append(keys, n.Keys(pattern)...)
	}
	return keys
}

// FlushAll empties all nodes.
func (c *Cluster) FlushAll() {
	c.fail.helper()
	c.ForEach((*Server).FlushAll)
}
