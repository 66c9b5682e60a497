package redisstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// An exactWatch is what the readers of a run saw. mu guards it.
type exactWatch struct {
	mu          sync.Mutex
	loads       int
	unanswered  int
	generations map[int]bool
	wrong       []string
	last        [][]byte // the definitions of the generation lastGen
	lastGen     int
}

// complain keeps the first of what was wrong.
func (w *exactWatch) complain(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.wrong) < 20 {
		w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
	}
}

// seen is how many generations of the replaced pool were seen.
func (w *exactWatch) seen() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.generations)
}

// watch reads all pools until the context ends: one reader directly, and one
// where faults come through a proxy.
func (r *exactRun) watch(ctx context.Context) {
	r.watched.generations = map[int]bool{}
	addresses := []string{r.srv.SocketURL()}
	if r.Mode == exactCuts {
		at, _ := r.address(-1)
		addresses = append(addresses, at)
	}
	for _, at := range addresses {
		s, err := openExact(ctx, at, r.Mode == exactCuts)
		if err != nil {
			r.Fatal(err)
		}
		r.readers.Go(func() {
			defer s.Close()
			seen := map[string]int64{}
			for ctx.Err() == nil {
				for i, pool := range exactPools {
					p, err := s.Pool(ctx, pool.typ)
					if ctx.Err() != nil {
						return
					}
					r.watched.mu.Lock()
					r.watched.loads++
					if err != nil {
						r.watched.unanswered++
					}
					r.watched.mu.Unlock()
					switch {
					case err != nil && r.Mode == exactCuts && errors.Is(err, poolkeeper.ErrUnavailable):
					case err != nil:
						r.watched.complain("load of pool %q: %v", pool.typ, err)
					case i < 2:
						r.watched.seeCounted(p, seen)
					default:
						r.watched.seeBig(p, seen)
					}
				}
				time.Sleep(30 * time.Millisecond)
			}
		})
	}
}

// seeBig checks that a pool that was read is one generation, whole and in
// order, and none before the last one seen.
func (w *exactWatch) seeBig(p *poolkeeper.Pool, seen map[string]int64) {
	if len(p.Providers) != exactBigSize {
		w.complain("the replaced pool was read with %d providers, want %d", len(p.Providers), exactBigSize)
		return
	}
	gen := exactGenOf(p.Providers[0].Definition)
	for i, def := range w.definitions(gen) {
		if !bytes.Equal(p.Providers[i].Definition, def) {
			w.complain("the replaced pool was read mixed: the first provider is of generation %d, number %d is %s", gen, i, p.Providers[i].Definition)
			return
		}
	}
	if last := seen["generation"]; int64(gen) < last {
		w.complain("the replaced pool went back from generation %d to %d", last, gen)
	}
	seen["generation"] = int64(gen)
	w.mu.Lock()
	w.generations[gen] = true
	w.mu.Unlock()
	w.seeCounts(p, seen, exactCounters[2*exactInPool:])
}

// definitions is exactGeneration, which mostly is asked for the same one again.
func (w *exactWatch) definitions(gen int) [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == nil || w.lastGen != gen {
		w.last, w.lastGen = exactGeneration(gen), gen
	}
	return w.last
}

// exactGenOf reads the generation out of a definition; -1 where there is none.
func exactGenOf(def []byte) int {
	_, rest, _ := bytes.Cut(def, []byte(`"gen":`))
	digits, _, _ := bytes.Cut(bytes.TrimRight(rest, "}"), []byte(","))
	n, err := strconv.Atoi(string(digits))
	if err != nil {
		return -1
	}
	return n
}

// seeCounted checks that a pool has all providers that are counted, under one
// of their ids, and all that nobody touches.
func (w *exactWatch) seeCounted(p *poolkeeper.Pool, seen map[string]int64) {
	for id, def := range exactCalmOnes {
		if c := p.Provider(id); c == nil {
			w.complain("pool %q was read without %s", p.Type, id)
		} else if string(c.Definition) != def {
			w.complain("pool %q: %s is %q, want %q", p.Type, id, c.Definition, def)
		}
	}
	var counters []*exactCounter
	for _, c := range exactCounters {
		if exactPools[c.pool].typ == p.Type {
			counters = append(counters, c)
		}
	}
	w.seeCounts(p, seen, counters)
}

// seeCounts checks that counters are there once and never go back.
func (w *exactWatch) seeCounts(p *poolkeeper.Pool, seen map[string]int64, counters []*exactCounter) {
	for _, c := range counters {
		found := 0
		for _, id := range c.ids {
			q := p.Provider(id)
			if q == nil {
				continue
			}
			found++
			n := q.Count(poolkeeper.UsageCount)
			if last, ok := seen[c.name]; ok && n < last {
				w.complain("%s was read with the count %d after %d", c.name, n, last)
			}
			seen[c.name] = n
		}
		if found != 1 {
			w.complain("pool %q was read with %s under %d of its ids, want 1", p.Type, c.name, found)
		}
	}
}
