package redisstore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// exactChangeAll replaces one pool, renames counted providers, and adds,
// renames and deletes others, until it is asked to stop.
func exactChangeAll(ctx context.Context, spec exactSpec, s *poolkeeper.Store, log exactLog) {
	var wg sync.WaitGroup
	wg.Go(func() { exactReplace(ctx, spec, s, log) })
	wg.Go(func() { exactRename(ctx, spec, s, log) })
	for pool := range 2 { // in the third, whoever is not in the next generation goes with it
		wg.Go(func() { exactComeAndGo(ctx, spec, s, log, pool) })
	}
	wg.Wait()
}

// exactReplace replaces the big pool, each time by the next generation.
func exactReplace(ctx context.Context, spec exactSpec, s *poolkeeper.Store, log exactLog) {
	r := rand.New(rand.NewPCG(spec.Seed, 1))
	for gen := spec.Life*1_000_000 + 1; exactPause(ctx, r, 30*time.Millisecond); gen++ {
		_, err := s.ReplacePool(context.Background(), exactBig, exactGeneration(gen), poolkeeper.Always)
		log.note("replace", err)
	}
}

// exactRename gives the counted providers that have two ids the other one.
func exactRename(ctx context.Context, spec exactSpec, s *poolkeeper.Store, log exactLog) {
	r := rand.New(rand.NewPCG(spec.Seed, 2))
	for exactPause(ctx, r, 5*time.Millisecond) {
		c := exactCounters[r.IntN(len(exactCounters))]
		if len(c.ids) == 1 {
			continue
		}
		p, err := s.Provider(context.Background(), c.ref(c.ids[0]))
		if err != nil {
			log.note("look", err)
			continue
		}
		to := c.ids[0]
		if p.ID == to {
			to = c.ids[1]
		}
		_, err = s.RenameProvider(context.Background(), p.Ref, to, poolkeeper.Always)
		log.note("rename", err)
	}
}

// exactComeAndGo leads providers through a whole life, which counts for
// nobody else.
func exactComeAndGo(ctx context.Context, spec exactSpec, s *poolkeeper.Store, log exactLog, pool int) {
	r := rand.New(rand.NewPCG(spec.Seed, 3+uint64(pool)))
	always := context.Background()
	typ := exactPools[pool].typ
	for n := 0; exactPause(ctx, r, 10*time.Millisecond); n++ {
		ref := poolkeeper.Ref{Type: typ, ID: fmt.Sprintf("guest-%d-%d", spec.Life, n)}
		_, err := s.AddProvider(always, typ, fmt.Appendf(nil, `{"uuid":%q,"usageCount":%d}`, ref.ID, n))
		log.note("add", err)
		want := int64(n)
		res, err := s.Usage(always, ref, 2)
		log.note("guest", err)
		if want += 2; err == nil && res.Count != want {
			log.line("x guest %s: count %d, want %d", ref, res.Count, want)
		}
		_, err = s.RenameProvider(always, ref, ref.ID+"-new", poolkeeper.Always)
		log.note("guest", err)
		_, err = s.PatchProvider(always, ref, poolkeeper.MergePatch, []byte(`{"x":[]}`), poolkeeper.Always)
		log.note("guest", err)
		_, err = s.Reset(always, ref, true)
		log.note("guest", err)
		_, err = s.DeleteProvider(always, poolkeeper.Ref{Type: typ, ID: ref.ID + "-new"}, poolkeeper.Always)
		log.note("delete", err)
	}
}
