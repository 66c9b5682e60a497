package faults_test

import (
	"math/rand/v2"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// A strike is a kind of fault: what it does to the server, or to one instance. It
// reports whether it was felt: an op was queued, an answer was lost, a process left
// an op without an answer or in its journal.
type strike struct {
	kind   string
	server bool // it hits the server, and so all instances
	kills  bool // it kills an instance
	run    func(u *underFaults, r *rand.Rand, in *instance) bool
}

// background are the cuts that all instances live with, all the time.
func background(seed uint64) redistest.Faults {
	return redistest.Faults{CutAfter: 0.002, CutBefore: 0.002, CutMid: 0.002, Seed: seed, Only: []string{"EVALSHA", "EVAL"}}
}

var strikes = []strike{
	{"redis-server killed and restarted", true, false, func(u *underFaults, r *rand.Rand, _ *instance) bool {
		u.srv.Kill()
		felt := u.feels(r, u.ins...)
		u.srv.Restart()
		return felt
	}},
	{"redis-server stopped (SIGSTOP)", true, false, func(u *underFaults, r *rand.Rand, _ *instance) bool {
		u.srv.Pause()
		felt := u.feels(r, u.ins...)
		u.srv.Resume()
		return felt
	}},
	{"redis-server made read-only", true, false, func(u *underFaults, r *rand.Rand, _ *instance) bool {
		u.srv.DoString("REPLICAOF", "127.0.0.1", "1")
		felt := u.feels(r, u.ins...)
		u.srv.DoString("REPLICAOF", "NO", "ONE")
		return felt
	}},
	{"redis-server out of memory", true, false, func(u *underFaults, r *rand.Rand, _ *instance) bool {
		u.srv.ConfigSet("maxmemory", "1")
		felt := u.feels(r, u.ins...)
		u.srv.ConfigSet("maxmemory", "0")
		return felt
	}},
	{"connections cut before the request", false, false, cuts(redistest.FaultCutBefore, redistest.Faults{CutBefore: 0.5})},
	{"connections cut before the reply", false, false, cuts(redistest.FaultCutAfter, redistest.Faults{CutAfter: 0.5})},
	{"connections cut in the middle of the reply", false, false, cuts(redistest.FaultCutMid, redistest.Faults{CutMid: 0.5})},
	{"replies delayed", false, false, func(u *underFaults, r *rand.Rand, in *instance) bool {
		in.proxy.Delay(2 * commandTimeout)
		felt := u.feels(r, in)
		in.proxy.Delay(0)
		return felt
	}},
	{"everything dropped", false, false, func(u *underFaults, r *rand.Rand, in *instance) bool {
		in.proxy.Blackhole(true)
		felt := u.feels(r, in)
		in.proxy.Blackhole(false)
		return felt
	}},
	{"connections refused", false, false, func(u *underFaults, r *rand.Rand, in *instance) bool {
		in.proxy.Down()
		felt := u.feels(r, in)
		in.proxy.Up()
		return felt
	}},
	{"instance killed", false, true, func(u *underFaults, r *rand.Rand, in *instance) bool {
		return u.dies(in)
	}},
	{"instance killed twice in a row", false, true, func(u *underFaults, r *rand.Rand, in *instance) bool {
		felt := u.dies(in)
		u.pause(r, 50*time.Millisecond)
		return u.dies(in) && felt
	}},
	{"instance killed with ops queued, and in the replay", false, true, func(u *underFaults, r *rand.Rand, in *instance) bool {
		in.proxy.Down()
		felt := u.feels(r, in)
		felt = u.dies(in) && in.rec.lastWaited() > 0 && felt
		in.proxy.Delay(50 * time.Millisecond) // so that the replay has a middle
		in.proxy.Up()
		until(u.T, "the replay", func() bool {
			in.alive()
			mode := in.read().lastMode()
			return mode == "replaying" || mode == "online"
		})
		u.pause(r, 100*time.Millisecond)
		u.dies(in)
		felt = in.rec.lastWaited() > 0 && felt
		in.proxy.Delay(0)
		return felt
	}},
}

// cuts has many commands of an instance cut off in one way.
func cuts(fault string, f redistest.Faults) func(*underFaults, *rand.Rand, *instance) bool {
	return func(u *underFaults, r *rand.Rand, in *instance) bool {
		before := in.proxy.Counts()[fault]
		f.Seed, f.Only = r.Uint64(), []string{"EVALSHA", "EVAL"}
		in.proxy.SetFaults(f)
		u.pause(r, 300*time.Millisecond)
		for end := time.Now().Add(3 * time.Second); in.proxy.Counts()[fault] < before+5 && time.Now().Before(end); {
			time.Sleep(5 * time.Millisecond)
		}
		in.proxy.SetFaults(background(r.Uint64()))
		return in.proxy.Counts()[fault] > before
	}
}

// feels waits until each of some instances has queued an op since now, and some more;
// false where one has not after five seconds.
func (u *underFaults) feels(r *rand.Rand, ins ...*instance) bool {
	before := make([]int, len(ins))
	for i, in := range ins {
		_, before[i] = in.read().counts()
	}
	felt := true
	end := time.Now().Add(5 * time.Second)
	for i, in := range ins {
		for {
			if _, queued := in.read().counts(); queued > before[i] {
				break
			}
			if time.Now().After(end) {
				felt = false
				break
			}
			time.Sleep(2 * time.Millisecond)
		}
	}
	u.pause(r, 400*time.Millisecond)
	return felt
}

// dies kills an instance and starts the next one, and reports whether an op was left
// without an answer, or in the journal.
func (u *underFaults) dies(in *instance) bool {
	in.alive()
	in.kill()
	left := in.read().unanswered()
	in.start()
	in.opened()
	return left > 0 || in.rec.lastWaited() > 0
}

// pause waits for up to d.
func (u *underFaults) pause(r *rand.Rand, d time.Duration) {
	time.Sleep(time.Duration(r.Int64N(int64(d))))
}
