package filestore

import (
	"hash/maphash"
	"slices"
	"sync"

	"github.com/poolkeeper/poolkeeper"
)

// Gates keep what an op was tried on as it is until the op is committed. Ops on
// runtime state go through the gate of their pool together: none of them makes
// another one fail. What changes a pool, or a value, has its gate for itself.
type gates struct {
	seed    maphash.Seed
	stripes [2 * stripes]sync.RWMutex // for keys, then for idempotency keys
}

const stripes = 64

// kindOnce is the kind of key that an idempotency key of a pool is here: two
// increments under one go one after the other.
const kindOnce poolkeeper.KeyKind = "once"

// A hold is what an op needs of a gate.
type hold struct {
	key  poolkeeper.Key
	sole bool
}

// holds lists what an op needs: its own key first.
func holds(op *poolkeeper.Op) (list [2]hold, n int) {
	list[0] = hold{op.Key, !op.IsRuntime()}
	if op.Key.Kind == poolkeeper.KindPool && list[0].sole {
		list[1] = hold{poolkeeper.TypesKey, false} // it may add or remove the type
		return list, 2
	}
	if op.IdempotencyKey != "" {
		list[1] = hold{poolkeeper.Key{Kind: kindOnce, Type: op.Key.Type, Name: op.IdempotencyKey}, true}
		return list, 2
	}
	return list, 1
}

// pass waits for the gates, and returns what opens them again.
func (g *gates) pass(need []hold) (leave func()) {
	if len(need) == 1 {
		m := g.stripe(need[0].key)
		if need[0].sole {
			m.Lock()
			return m.Unlock
		}
		m.RLock()
		return m.RUnlock
	}
	sole := map[int]bool{}
	for _, h := range need {
		i := g.index(h.key)
		sole[i] = sole[i] || h.sole
	}
	order := make([]int, 0, len(sole))
	for i := range sole {
		order = append(order, i)
	}
	slices.Sort(order) // all take them in one order, so that nobody waits in a circle
	for _, i := range order {
		if sole[i] {
			g.stripes[i].Lock()
		} else {
			g.stripes[i].RLock()
		}
	}
	return func() {
		for _, i := range order {
			if sole[i] {
				g.stripes[i].Unlock()
			} else {
				g.stripes[i].RUnlock()
			}
		}
	}
}

// all waits until nothing is under way.
func (g *gates) all() (leave func()) {
	for i := range g.stripes {
		g.stripes[i].Lock()
	}
	return func() {
		for i := range g.stripes {
			g.stripes[i].Unlock()
		}
	}
}

func (g *gates) index(key poolkeeper.Key) int {
	i := int(maphash.Comparable(g.seed, key) % stripes)
	if key.Kind == kindOnce {
		i += stripes
	}
	return i
}

func (g *gates) stripe(key poolkeeper.Key) *sync.RWMutex { return &g.stripes[g.index(key)] }
