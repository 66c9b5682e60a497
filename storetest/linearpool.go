package storetest

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/anishathalye/porcupine"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// poolIDs are the providers that the clients of a history work on.
var poolIDs = [...]string{"a", "b", "c"}

// poolState is what a pool looks like to its clients; values of it compare.
type poolState struct {
	providers [len(poolIDs)]providerState
	order     string // the ids in their order
	alias     [len(poolIDs)]int
}

type providerState struct {
	there         bool
	value         int // the field v of the definition
	usage, errors int64
	unhealthy     bool
}

type poolInput struct {
	kind  string
	id    int
	newID int
	n     int
	cond  poolkeeper.If
}

// providerAnswer is the answer to an op on a provider, or to a read of one.
type providerAnswer struct {
	id    string
	count int64
	state providerState // of a read
}

const linearThreshold = 3

var poolModel = porcupine.NondeterministicModel{
	Init: func() []any {
		var s poolState
		for i := range s.alias {
			s.alias[i] = -1
		}
		return []any{s}
	},
	Step:              stepper(stepPool),
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v → %+v", input, output) },
}

func stepPool(s poolState, in poolInput) (poolState, any) {
	if in.kind == "pool" {
		return s, seenPool{s.providers, s.order}
	}
	i := in.id
	if in.kind != "add" && in.kind != "put" {
		for !s.providers[i].there && s.alias[i] >= 0 {
			i = s.alias[i]
		}
	}
	p := &s.providers[i]
	if in.kind == "add" && p.there {
		return s, refused("exists")
	}
	if in.kind == "rename" && p.there && i == in.newID {
		return s, providerAnswer{id: poolIDs[i]}
	}
	if in.cond == poolkeeper.IfAbsent && p.there || in.cond == poolkeeper.IfPresent && !p.there {
		return s, refused("conflict")
	}
	if !p.there && in.kind != "add" && in.kind != "put" {
		return s, refused("not-found")
	}
	count := int64(0)
	switch in.kind {
	case "add", "put":
		if !p.there {
			*p = providerState{there: true}
			s.order += poolIDs[i]
			s.alias[i] = -1
		}
		p.value = in.n
	case "patch":
		p.value = in.n
	case "delete":
		*p = providerState{}
		s.order = withoutID(s.order, poolIDs[i], "")
	case "rename":
		if s.providers[in.newID].there {
			return s, refused("exists")
		}
		s.providers[in.newID] = *p
		*p = providerState{}
		s.order = withoutID(s.order, poolIDs[i], poolIDs[in.newID])
		s.alias[in.newID], s.alias[i] = -1, in.newID
		i = in.newID
	case "usage":
		p.usage += int64(in.n)
		count = p.usage
	case "error":
		p.errors++
		p.unhealthy = p.unhealthy || p.errors >= linearThreshold
		count = p.errors
	case "reset":
		p.errors, p.unhealthy = 0, false
		count = p.usage
	case "get":
		return s, providerAnswer{id: poolIDs[i], state: *p}
	}
	return s, providerAnswer{id: poolIDs[i], count: count}
}

// withoutID puts something else in the place of an id in an order.
func withoutID(order, id, instead string) string {
	out := ""
	for _, c := range order {
		if string(c) == id {
			out += instead
		} else {
			out += string(c)
		}
	}
	return out
}

// nextOnPool makes the next call of a client. All errors are of one moment, so
// that they fall into one window.
func nextOnPool(r *rand.Rand, key, client int) request {
	typ := "linear:{" + strconv.Itoa(key) + "}"
	in := poolInput{id: r.IntN(len(poolIDs)), n: 1 + r.IntN(1000)}
	target := ref(typ, poolIDs[in.id])
	member := `"v":` + strconv.Itoa(in.n)
	if r.IntN(6) == 0 {
		in.cond = []poolkeeper.If{poolkeeper.IfAbsent, poolkeeper.IfPresent}[r.IntN(2)]
	}
	var op poolkeeper.Op
	switch n := r.IntN(100); {
	case n < 28:
		in.kind, op = "usage", usage(target, int64(in.n))
	case n < 38:
		in.kind, op = "error", on(poolkeeper.OpError, target)
		op.Threshold = linearThreshold
	case n < 42:
		in.kind, op = "reset", on(poolkeeper.OpReset, target)
	case n < 50:
		in.kind, op = "add", add(target, member)
	case n < 58:
		in.kind, op = "put", put(target, member)
	case n < 66:
		in.kind, op = "patch", merge(target, "{"+member+"}")
	case n < 70:
		in.kind, op = "delete", remove(target)
	case n < 76:
		in.newID = (in.id + 1 + r.IntN(len(poolIDs)-1)) % len(poolIDs)
		in.kind, op = "rename", rename(target, poolIDs[in.newID])
	case n < 90:
		in.kind, in.cond = "get", poolkeeper.Always
		return request{input: in, key: poolkeeper.ProviderKey(target), answer: func(_ poolkeeper.Result, snap *poolkeeper.Snapshot) any {
			p := snap.Provider(target)
			if p == nil {
				return refused("not-found")
			}
			return providerAnswer{id: p.ID, state: providerSeen(p)}
		}}
	default:
		in.kind, in.cond = "pool", poolkeeper.Always
		return request{input: in, key: poolkeeper.PoolKey(typ), answer: func(_ poolkeeper.Result, snap *poolkeeper.Snapshot) any {
			return poolSeen(snap.Pools[typ])
		}}
	}
	if in.kind == "add" || op.IsRuntime() {
		in.cond = poolkeeper.Always
	}
	op.If = in.cond
	return request{input: in, op: &op, answer: func(res poolkeeper.Result, _ *poolkeeper.Snapshot) any {
		return providerAnswer{id: res.ID, count: res.Count}
	}}
}

func providerSeen(p *poolkeeper.Provider) providerState {
	lit, _ := rawjson.Get(p.Definition, "v")
	value, _ := strconv.Atoi(string(lit))
	return providerState{there: true, value: value, usage: p.Count(poolkeeper.UsageCount), errors: p.Count(poolkeeper.ErrorCount), unhealthy: !p.Healthy()}
}

// poolSeen is the state of a pool as far as a reader sees it.
func poolSeen(p *poolkeeper.Pool) any {
	var s seenPool
	if p == nil {
		return s
	}
	for i := range p.Providers {
		s.order += p.Providers[i].ID
		for n, id := range poolIDs {
			if id == p.Providers[i].ID {
				s.providers[n] = providerSeen(&p.Providers[i])
			}
		}
	}
	return s
}

// seenPool is a poolState without what only ops can tell.
type seenPool struct {
	providers [len(poolIDs)]providerState
	order     string
}
