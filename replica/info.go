package replica

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// A cause says why a pool was loaded.
type cause int

const (
	causeStart cause = iota // the copy was being made
	causeWatch              // changes were not told for a while
	causeTold               // a change told that it is to be loaded
	causeGap                // a change was missed
	causeLate               // a change of this instance's own was not told in time
	causeDeaf               // a write was answered while changes were not told
	causeCheck              // it was found to be another one than in the store

	causes
)

var causeNames = [causes]string{"start", "watch", "told", "gap", "late", "deaf", "check"}

// counts are what has happened since the Replica was opened.
type counts struct {
	changes, known, gaps, lost, failed, older, unchanged atomic.Uint64

	reloads       [causes]atomic.Uint64
	waits, waited atomic.Int64 // of writers; in nanoseconds
}

func (c *counts) reload(why cause) { c.reloads[why].Add(1) }

// Info implements poolkeeper.Backend. It describes the source, and the copy.
func (r *Replica) Info(ctx context.Context) (poolkeeper.Info, error) {
	info, err := r.source.Info(ctx)
	if err != nil {
		return info, err
	}
	if info.Details == nil {
		info.Details = map[string]string{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.view.Load() == nil:
		info.Serving = info.Serving && info.Ready // nothing can be read
		info.Details["copy"] = "none yet: reads ask the store"
		if r.trouble != nil && info.Ready {
			info.Warnings = append(info.Warnings, "no copy can be made, and all reads ask the store: "+r.trouble.Error())
		}
	case r.since.IsZero():
		info.Details["copy"] = "current"
	default:
		info.Details["copy"] = "not known to be current since " + r.since.UTC().Format(time.RFC3339)
		text := "reads come from a copy that is not known to be current since " + r.since.UTC().Format(time.RFC3339)
		if r.trouble != nil {
			text += ": " + r.trouble.Error()
		}
		info.Warnings = append(info.Warnings, text)
	}
	if r.counts.older.Load() > 0 {
		info.Warnings = append(info.Warnings, "the store is older than the copy in some places, where the copy is kept: was Redis restored?")
	}
	return info, nil
}

// Measure implements poolkeeper.Meter.
func (r *Replica) Measure(ctx context.Context) poolkeeper.Measures {
	var m poolkeeper.Measures
	if meter, ok := r.source.(poolkeeper.Meter); ok {
		m = meter.Measure(ctx)
	}
	c := &r.counts
	m.Copy = &poolkeeper.CopyMeasures{
		Changes: c.changes.Load(), Known: c.known.Load(), Gaps: c.gaps.Load(), Lost: c.lost.Load(), Failed: c.failed.Load(), Older: c.older.Load(),
		Reloads: make(map[string]uint64, causes), Waits: uint64(c.waits.Load()), Waited: time.Duration(c.waited.Load()),
	}
	for i := range c.reloads {
		m.Copy.Reloads[causeNames[i]] = c.reloads[i].Load()
	}
	v := r.view.Load()
	r.mu.Lock()
	if v != nil && !r.since.IsZero() {
		m.Copy.Age = max(r.opts.Now().Sub(r.since), time.Nanosecond)
	}
	r.mu.Unlock()
	if v == nil {
		return m
	}
	m.Copy.Made = true
	if m.Size == nil {
		m.Size = &poolkeeper.Size{}
		for _, typ := range v.Types() {
			m.Size.Pools++
			m.Size.Providers += int64(v.Pool(typ).Len())
		}
	}
	return m
}
