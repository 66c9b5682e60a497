package redistest

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// The faults of a [Proxy], as they are named by [Proxy.Counts].
const (
	FaultCutBefore = "CutBeforeRequest"
	FaultCutAfter  = "CutAfterRequest"
	FaultCutMid    = "CutMidReply"
	FaultDelay     = "Delay"
	FaultBlackhole = "Blackhole"
	FaultRefuse    = "Refuse"
)

// Faults are the random faults of a [Proxy]. The probabilities are per command
// and at most one of the three cuts hits it, so their sum must not exceed 1.
type Faults struct {
	Seed      uint64  // the same one gives the same decisions in the same order of commands
	CutBefore float64 // see [Proxy.CutBeforeRequest]
	CutAfter  float64 // see [Proxy.CutAfterRequest]
	CutMid    float64 // see [Proxy.CutMidReply]
	DelayProb float64
	MaxDelay  time.Duration // a delay is below it, evenly distributed
	Only      []string      // the commands that are hit, in any case; none means all
}

// plan is what is to happen to one command.
type plan struct {
	cut   string // "" or one of the cuts
	delay time.Duration
	at    float64 // in [0, 1): where a reply is cut
}

// armed is a cut that was switched on for the next commands.
type armed struct {
	cut  string
	skip int // commands that pass before
	left int // negative: no limit
	only []string
}

// faultState decides and counts. The mutex of the proxy guards it.
type faultState struct {
	faults Faults
	rand   *rand.Rand
	armed  []*armed
	delay  time.Duration
	counts map[string]int64
}

// untouchable commands set a session up and are never hit.
var untouchable = []string{"HELLO", "AUTH", "CLIENT"}

// spared commands are what clients send on their own account; they are hit only
// when they are named.
var spared = []string{
	"SELECT", "READONLY", "READWRITE", "CLUSTER", "COMMAND", "PING", "QUIT", "ROLE", "TIME",
	"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE",
}

func (f *faultState) set(faults Faults) {
	faults.Only = upper(faults.Only)
	f.faults = faults
	f.rand = rand.New(rand.NewPCG(faults.Seed, faults.Seed))
}

func (f *faultState) arm(cut string, n int, only []string) {
	if n != 0 {
		f.armed = append(f.armed, &armed{cut: cut, left: n, only: upper(only)})
	}
}

func (f *faultState) clear() {
	f.set(Faults{})
	f.armed, f.delay = nil, 0
}

func upper(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strings.ToUpper(n)
	}
	return out
}

func hits(name string, only []string) bool {
	if len(only) > 0 {
		return slices.Contains(only, name) && !slices.Contains(untouchable, name)
	}
	return !slices.Contains(untouchable, name) && !slices.Contains(spared, name)
}

// decide makes the plan for a command.
func (f *faultState) decide(name string) plan {
	var p plan
	if hits(name, nil) {
		p.delay = f.delay
	}
	if hits(name, f.faults.Only) {
		u := f.rand.Float64()
		switch c := &f.faults; {
		case u < c.CutBefore:
			p.cut = FaultCutBefore
		case u < c.CutBefore+c.CutAfter:
			p.cut = FaultCutAfter
		case u < c.CutBefore+c.CutAfter+c.CutMid:
			p.cut = FaultCutMid
		}
		if f.rand.Float64() < f.faults.DelayProb {
			p.delay += time.Duration(f.rand.Float64() * float64(f.faults.MaxDelay))
		}
	}
	p.at = f.rand.Float64()
	for i, a := range f.armed {
		if !hits(name, a.only) {
			continue
		}
		if a.skip > 0 {
			a.skip--
			continue
		}
		p.cut = a.cut
		if a.left--; a.left == 0 {
			f.armed = slices.Delete(f.armed, i, i+1)
		}
		break
	}
	return p
}

// SetFaults replaces the random faults; the zero Faults ends them. It panics
// when the probabilities of the cuts exceed 1 together.
func (p *Proxy) SetFaults(f Faults) {
	if f.CutBefore+f.CutAfter+f.CutMid > 1 {
		panic("redistest: the probabilities of the cuts exceed 1")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults.set(f)
}

// CutBeforeRequest drops the connection of each of the next n commands once
// the command was read completely: it never reaches the upstream. Replies to
// commands that were sent before it are delivered first. A negative n holds
// until [Proxy.Clear]; only restricts it to those commands. HELLO, AUTH and
// CLIENT are never hit, and what clients send by themselves (PING, SELECT,
// CLUSTER, the subscriptions, …) only by name.
func (p *Proxy) CutBeforeRequest(n int, only ...string) { p.arm(FaultCutBefore, n, only) }

// CutAfterRequest drops the connection once the upstream has answered, without
// delivering the answer. See [Proxy.CutBeforeRequest] for n and only.
func (p *Proxy) CutAfterRequest(n int, only ...string) { p.arm(FaultCutAfter, n, only) }

// CutMidReply drops the connection after a part of the answer. See
// [Proxy.CutBeforeRequest] for n and only.
func (p *Proxy) CutMidReply(n int, only ...string) { p.arm(FaultCutMid, n, only) }

func (p *Proxy) arm(cut string, n int, only []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults.arm(cut, n, only)
}

// StopAfter lets n commands pass, as if the client were killed then: none of
// those after them reaches the upstream. Where executed is set one more does,
// whose answer is not delivered. What clients send by themselves does not count.
func (p *Proxy) StopAfter(n int, executed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if executed {
		p.faults.armed = append(p.faults.armed, &armed{cut: FaultCutAfter, skip: n, left: 1})
	}
	p.faults.armed = append(p.faults.armed, &armed{cut: FaultCutBefore, skip: n, left: -1})
}

// Delay delivers a reply no earlier than d after its command came; 0 ends it.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults.delay = d
}

// Clear ends all faults, explicit and random ones. Counts stay.
func (p *Proxy) Clear() {
	p.mu.Lock()
	p.faults.clear()
	p.mu.Unlock()
	p.Blackhole(false)
	p.Refuse(false)
}

// Counts returns how often each fault has really occurred: a cut that was
// decided on a connection that broke before does not count. Blackhole counts
// commands swallowed, Refuse connections closed.
func (p *Proxy) Counts() map[string]int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.faults.counts)
}

func (p *Proxy) count(fault string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults.counts[fault]++
}
