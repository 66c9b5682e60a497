package bench

import (
	"context"
	"strconv"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// Reads measures look-ups of a provider, and scans of all of them, in the copy
// that a store keeps, with one caller.
func Reads(ctx context.Context, st *poolkeeper.Store, duration time.Duration) ([]Row, error) {
	v, err := st.View(ctx)
	if err != nil {
		return nil, err
	}
	pool := v.Pool(poolType)
	refs := make([]poolkeeper.Ref, pool.Len())
	for i := range refs {
		refs[i] = pool.At(i).Ref()
	}
	var sum int64 // so that nothing is left out
	row := func(what string, each int, read func() error) (Row, error) {
		var all histogram
		n, begin := 0, time.Now()
		for now := begin; now.Sub(begin) < duration; {
			for range each {
				if err := read(); err != nil {
					return Row{}, err
				}
			}
			n += each
			then := now
			now = time.Now()
			all.add(now.Sub(then) / time.Duration(each))
		}
		row := Row{What: what, Callers: 1, Providers: len(refs), PerSecond: float64(n) / time.Since(begin).Seconds()}
		row.took(&all)
		return row, nil
	}
	next := 0
	one, err := row("read one of "+strconv.Itoa(len(refs))+" providers", 1000, func() error {
		v, err := st.View(ctx)
		if err != nil {
			return err
		}
		if next++; next == len(refs) {
			next = 0
		}
		sum += v.Provider(refs[next]).Count(poolkeeper.UsageCount)
		return nil
	})
	if err != nil {
		return nil, err
	}
	scan, err := row("scan "+strconv.Itoa(len(refs))+" providers", 10, func() error {
		v, err := st.View(ctx)
		if err != nil {
			return err
		}
		pool := v.Pool(poolType)
		for i := range pool.Len() {
			if p := pool.At(i); p.Healthy() && !p.Disabled() {
				sum += p.Count(poolkeeper.UsageCount)
			}
		}
		return nil
	})
	if err != nil || sum < 0 {
		return nil, err
	}
	return []Row{one, scan}, nil
}

// Converge measures how long it takes from the call of an increment on one store
// until each of several others reads it, while that one also makes so many more
// increments a second. The others must keep a copy.
func Converge(ctx context.Context, from *poolkeeper.Store, to []*poolkeeper.Store, load int, duration time.Duration) (Row, error) {
	v, err := to[0].View(ctx)
	if err != nil {
		return Row{}, err
	}
	probe := v.Pool(poolType).At(0).Ref()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, 1)
	report := func(err error) {
		if err != nil && ctx.Err() == nil {
			select {
			case failed <- err:
			default:
			}
		}
	}
	seen, ready := make(chan int64, 1024), make(chan struct{}, len(to))
	for _, st := range to {
		go func() {
			report(st.Watch(ctx, func(c poolkeeper.Change) {
				if c.Kind == poolkeeper.ChangeReady {
					ready <- struct{}{}
				}
				for i := range c.States {
					if lit, ok := c.States[i].State.Get(poolkeeper.UsageCount); ok && c.States[i].ID == probe.ID {
						seen <- poolkeeper.Int(lit)
					}
				}
			}))
		}()
	}
	for range to {
		select {
		case <-ready:
		case err := <-failed:
			return Row{}, err
		}
	}
	const few = 20 // callers of the others
	for c := range few {
		go func() {
			if load == 0 {
				return
			}
			tick := time.NewTicker(time.Second * few / time.Duration(load))
			defer tick.Stop()
			for i := c; ; i += few {
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
				_, err := from.Usage(ctx, v.Pool(poolType).At(1+i%(v.Pool(poolType).Len()-1)).Ref(), 1)
				report(err)
			}
		}()
	}
	var all histogram
	for end := time.Now().Add(duration); time.Now().Before(end); {
		begin := time.Now()
		res, err := from.Usage(ctx, probe, 1)
		if err != nil {
			return Row{}, err
		}
		for n := 0; n < len(to); {
			select {
			case count := <-seen:
				if count >= res.Count {
					all.add(time.Since(begin))
					n++
				}
			case err := <-failed:
				return Row{}, err
			case <-time.After(10 * time.Second):
				return Row{}, poolkeeper.Errorf(poolkeeper.ErrInternal, "a change was not told within 10s")
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
	what := "convergence, idle"
	if load > 0 {
		what = "convergence, " + strconv.Itoa(load) + " writes/s"
	}
	row := Row{What: what, Callers: len(to), Providers: v.Pool(poolType).Len(), PerSecond: float64(all.total) / duration.Seconds()}
	row.took(&all)
	return row, nil
}
