package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"testing"
)

// Sentinel is a master with one replica, watched by three sentinels of which
// two must agree.
type Sentinel struct {
	// MasterName is the name under which the sentinels know the master.
	MasterName string
	// Nodes are the data servers; which one is the master changes.
	Nodes []*Server
	// Sentinels are the sentinel processes.
	Sentinels []*Server

	fail failer
}

const (
	sentinelCount  = 3
	sentinelQuorum = 2
	// downAfter, in milliseconds: short, but longer than a busy machine stalls.
	downAfter = 1000
)

// StartSentinel starts the group and waits until all know each other. Options
// hold for the data servers; the sentinels take only the TLS material, and the
// users of WithSentinelACL.
func StartSentinel(tb testing.TB, opts ...Option) *Sentinel {
	tb.Helper()
	requireBinary(tb)
	g, err := startSentinel(opts)
	if err != nil {
		tb.Fatal(err)
	}
	g.fail.tb = tb
	for _, s := range g.servers() {
		s.attach(tb)
	}
	return g
}

// StartSentinelMain is [StartSentinel] without a test, as [StartMain].
func StartSentinelMain(opts ...Option) (*Sentinel, func(), error) {
	g, err := startSentinel(opts)
	if err != nil {
		return nil, nil, err
	}
	return g, func() { closeAll(g.servers()) }, nil
}

func startSentinel(opts []Option) (_ *Sentinel, err error) {
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
	g := &Sentinel{MasterName: "poolkeeper"}
	defer func() {
		if err != nil {
			closeAll(g.servers())
		}
	}()
	// One after the other: the replica needs its master, and the sentinels
	// find a replica at once only if it is in sync when they first look.
	for i := range 2 {
		cfg, err := member(base, i)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			cfg.replicaOf = g.Nodes[0]
		}
		s, err := start(ctx, cfg)
		if err != nil {
			return nil, err
		}
		g.Nodes = append(g.Nodes, s)
	}
	cfgs := make([]*config, sentinelCount)
	for i := range cfgs {
		cfgs[i] = newConfig(nil)
		cfgs[i].role = roleSentinel
		cfgs[i].material = base.material
		cfgs[i].sentinel = g.sentinelConf()
		cfgs[i].acl = base.ofGroup
	}
	if g.Sentinels, err = startAll(ctx, cfgs); err != nil {
		return nil, err
	}
	for _, s := range g.Sentinels {
		// Shorter periods than the built-in ones of 1, 2 and 10 seconds, which
		// no setting changes. The replica of a dead master is asked once a
		// second whatever is set, and must have answered within five pings to
		// be elected. Redis before 7.0 lacks this and is just slower.
		if _, err := s.Do("SENTINEL", "DEBUG",
			"info-period", "300", "ping-period", "400", "ask-period", "100", "publish-period", "200",
			"slave-reconf-timeout", "2000", "min-link-reconnect-period", "1000"); err != nil {
			var e Error
			if !errors.As(err, &e) {
				return nil, err
			}
		}
	}
	return g, g.waitFormed(ctx)
}

func (g *Sentinel) sentinelConf() []string {
	set := func(key, value string) string {
		return fmt.Sprintf("sentinel %s %s %s", key, g.MasterName, value)
	}
	return []string{
		set("monitor", fmt.Sprintf("127.0.0.1 %d %d", g.Nodes[0].port, sentinelQuorum)),
		set("auth-user", adminUser),
		set("auth-pass", adminPassword()),
		set("down-after-milliseconds", strconv.Itoa(downAfter)),
		set("failover-timeout", "3000"),
		// Sentinels log in to each other as the same user.
		"sentinel sentinel-user " + adminUser,
		"sentinel sentinel-pass " + adminPassword(),
	}
}

// waitFormed waits until each sentinel sees the replica and the others.
func (g *Sentinel) waitFormed(ctx context.Context) error {
	return poll(ctx, "the sentinels do not know each other", func() bool {
		for _, s := range g.Sentinels {
			m, err := g.masterFields(s)
			if err != nil || m["num-slaves"] != "1" || m["flags"] != "master" ||
				m["num-other-sentinels"] != strconv.Itoa(sentinelCount-1) {
				return false
			}
			reps, err := g.replicaFields(s)
			if err != nil || len(reps) != 1 || reps[0]["flags"] != "slave" || reps[0]["master-link-status"] != "ok" {
				return false
			}
		}
		return true
	})
}

func (g *Sentinel) masterFields(s *Server) (map[string]string, error) {
	v, err := s.Do("SENTINEL", "MASTER", g.MasterName)
	if err != nil {
		return nil, err
	}
	return fields(v)
}

func (g *Sentinel) replicaFields(s *Server) ([]map[string]string, error) {
	v, err := s.Do("SENTINEL", "REPLICAS", g.MasterName)
	if err != nil {
		return nil, err
	}
	list, _ := v.([]any)
	out := make([]map[string]string, len(list))
	for i, e := range list {
		if out[i], err = fields(e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func fields(v any) (map[string]string, error) {
	list, err := texts(v)
	if err != nil {
		return nil, err
	}
	m := make(map[string]string, len(list)/2)
	for i := 0; i+1 < len(list); i += 2 {
		m[list[i]] = list[i+1]
	}
	return m, nil
}

func (g *Sentinel) servers() []*Server { return slices.Concat(g.Nodes, g.Sentinels) }

// SentinelAddrs returns the addresses of the sentinels.
func (g *Sentinel) SentinelAddrs() []string { return addrs(g.Sentinels) }

// URL returns redis://sentinel?addr=sentinel&…&master=name&master_set=name;
// both names of the parameter are in use.
func (g *Sentinel) URL() string {
	q := url.Values{"master": {g.MasterName}, "master_set": {g.MasterName}, "addr": g.SentinelAddrs()[1:]}
	return g.Sentinels[0].url(g.Nodes[0].password, q)
}

// Master returns the server that a majority of the running sentinels takes for
// the master.
func (g *Sentinel) Master() *Server {
	g.fail.helper()
	votes := map[*Server]int{}
	for _, s := range g.Sentinels {
		n := g.masterOf(s)
		if n == nil {
			continue
		}
		if votes[n]++; votes[n] >= sentinelQuorum {
			return n
		}
	}
	g.fail.fatalf("no %d sentinels agree on a master", sentinelQuorum)
	return nil
}

// Replica returns the server that is not the master.
func (g *Sentinel) Replica() *Server {
	g.fail.helper()
	m := g.Master()
	return g.Nodes[1-slices.Index(g.Nodes, m)]
}

// masterOf returns the master that one sentinel names, nil if it does not.
func (g *Sentinel) masterOf(s *Server) *Server {
	if !s.Running() {
		return nil
	}
	v, err := s.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", g.MasterName)
	if err != nil {
		return nil
	}
	pair, err := texts(v)
	if err != nil || len(pair) != 2 {
		return nil
	}
	for _, n := range g.Nodes {
		if n.Addr() == net.JoinHostPort(pair[0], pair[1]) {
			return n
		}
	}
	return nil
}

// Failover makes the sentinels promote the replica, waits until all of them
// name it and the old master follows it, and returns the new master.
func (g *Sentinel) Failover() *Server {
	g.fail.helper()
	old := g.Master()
	d, err := startTimeout()
	if err != nil {
		g.fail.fatalf("%v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	// Refused while an earlier failover is not finished, or before the state
	// of the replica is known.
	var last error
	err = poll(ctx, "failover refused", func() bool {
		_, last = g.Sentinels[0].Do("SENTINEL", "FAILOVER", g.MasterName)
		return last == nil
	})
	if err != nil {
		g.fail.fatalf("%v (%v)", err, last)
	}
	err = poll(ctx, "failover not finished", func() bool {
		for _, s := range g.Sentinels {
			if m := g.masterOf(s); m == nil || m == old {
				return false
			}
		}
		return true
	})
	if err != nil {
		g.fail.fatalf("%v", err)
	}
	master := g.Master()
	if err = old.waitSynced(ctx, master); err == nil {
		err = g.waitFormed(ctx)
	}
	if err != nil {
		g.fail.fatalf("%v", err)
	}
	return master
}

// WaitMaster waits until the sentinels have agreed on another master than
// old, as they do by themselves after it was killed, and returns it.
func (g *Sentinel) WaitMaster(old *Server) *Server {
	g.fail.helper()
	d, err := startTimeout()
	if err != nil {
		g.fail.fatalf("%v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	err = poll(ctx, "no other master elected", func() bool {
		n := 0
		for _, s := range g.Sentinels {
			if m := g.masterOf(s); m != nil && m != old {
				n++
			}
		}
		return n >= sentinelQuorum
	})
	if err != nil {
		g.fail.fatalf("%v", err)
	}
	return g.Master()
}
