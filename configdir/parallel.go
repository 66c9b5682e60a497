package configdir

import (
	"context"
	"sync"
	"sync/atomic"
)

// inParallel calls do for each item, several at a time, since most of the time
// goes by waiting for the disk. It returns one of the errors, after all calls
// have ended.
func inParallel(ctx context.Context, items []string, do func(string) error) error {
	return parallel(ctx, len(items), func(i int) error { return do(items[i]) })
}

// parallel does so for the numbers from 0 to n.
func parallel(ctx context.Context, n int, do func(int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(8, n) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(i); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// inParts calls do for parts of n things, several at a time, each with a report of
// its own, of which it takes the warnings as if one part had come after the other.
func (r *reader) inParts(ctx context.Context, n int, do func(from, to int, report *Report)) error {
	const size = 1000
	reports := make([]Report, (n+size-1)/size)
	err := parallel(ctx, len(reports), func(i int) error {
		do(i*size, min(n, (i+1)*size), &reports[i])
		return nil
	})
	for i := range reports {
		r.report.Warnings = append(r.report.Warnings, reports[i].Warnings...)
	}
	return err
}
