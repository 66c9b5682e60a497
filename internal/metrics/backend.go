package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/poolkeeper/poolkeeper"
)

// A kind is what is counted of one kind of ops. The counters of ops that went
// well are at hand: every request of a gateway comes by here.
type kind struct {
	name    string
	applied prometheus.Counter
	took    prometheus.Observer
	ops     *prometheus.CounterVec
}

func newKind(name string, ops *prometheus.CounterVec, took *prometheus.HistogramVec) *kind {
	return &kind{name: name, ops: ops, applied: ops.WithLabelValues(name, string(poolkeeper.Applied)), took: took.WithLabelValues(name)}
}

func (k *kind) count(res *poolkeeper.Result) {
	switch {
	case res.Err != nil:
		k.ops.WithLabelValues(k.name, poolkeeper.ClassOf(res.Err).Code).Inc()
	case res.Status == poolkeeper.Applied:
		k.applied.Inc()
	default:
		k.ops.WithLabelValues(k.name, string(res.Status)).Inc()
	}
}

// A backend counts what passes through it.
type backend struct {
	poolkeeper.Backend
	m *Metrics
}

// Wrap returns a Backend that does what b does, and counts it. At each scrape b
// is asked how it is. It may be called once for each Metrics.
func (m *Metrics) Wrap(b poolkeeper.Backend) poolkeeper.Backend {
	m.registry.MustRegister(newStoreCollector(b))
	return &backend{b, m}
}

func (b *backend) Apply(ctx context.Context, ops ...poolkeeper.Op) []poolkeeper.Result {
	start := time.Now()
	results := b.Backend.Apply(ctx, ops...)
	took := time.Since(start).Seconds()
	for i := range ops {
		k := b.m.kinds[ops[i].Kind]
		if k == nil {
			k = b.m.other
		}
		k.took.Observe(took)
		k.count(&results[i])
	}
	return results
}

func (b *backend) Load(ctx context.Context, keys ...poolkeeper.Key) (*poolkeeper.Snapshot, error) {
	start := time.Now()
	snap, err := b.Backend.Load(ctx, keys...)
	outcome := 0
	if err != nil {
		outcome = 1
	}
	b.m.loads[outcome].Observe(time.Since(start).Seconds())
	return snap, err
}

// Recover makes the layer a poolkeeper.Recoverer, as far as what it is over is one.
func (b *backend) Recover(ctx context.Context, adopt bool) (poolkeeper.Recovered, error) {
	if r, ok := b.Backend.(poolkeeper.Recoverer); ok {
		return r.Recover(ctx, adopt)
	}
	return poolkeeper.Recovered{}, poolkeeper.Errorf(poolkeeper.ErrForbidden, "this store cannot be put back by an instance")
}

// MarkImport makes the layer a poolkeeper.ImportMarker. What it is over need not
// be one: then nothing is marked.
func (b *backend) MarkImport(ctx context.Context, run string, unfinished bool) error {
	if m, ok := b.Backend.(poolkeeper.ImportMarker); ok {
		return m.MarkImport(ctx, run, unfinished)
	}
	return nil
}

// Flush makes the layer a poolkeeper.Flusher. Where what it is over is none, there
// are no files to wait for.
func (b *backend) Flush(ctx context.Context) error {
	if f, ok := b.Backend.(poolkeeper.Flusher); ok {
		return f.Flush(ctx)
	}
	return nil
}

// Pending makes the layer a poolkeeper.AsideKeeper, as what it is over may be one.
func (b *backend) Pending(ctx context.Context) (*poolkeeper.Pending, error) {
	return poolkeeper.New(b.Backend, nil).Pending(ctx)
}

// RetryAside is a part of that.
func (b *backend) RetryAside(ctx context.Context, pick poolkeeper.Pick) (poolkeeper.Decided, error) {
	return poolkeeper.New(b.Backend, nil).RetryAside(ctx, pick)
}

// DiscardAside is another one.
func (b *backend) DiscardAside(ctx context.Context, pick poolkeeper.Pick) (poolkeeper.Decided, error) {
	return poolkeeper.New(b.Backend, nil).DiscardAside(ctx, pick)
}

// Measure makes the layer a poolkeeper.Meter, as what it is over may be one.
func (b *backend) Measure(ctx context.Context) poolkeeper.Measures {
	if meter, ok := b.Backend.(poolkeeper.Meter); ok {
		return meter.Measure(ctx)
	}
	return poolkeeper.Measures{}
}

// View makes the layer a poolkeeper.Viewer, as what it is over may be one. A look
// at what is in memory is not counted.
func (b *backend) View() *poolkeeper.View {
	if viewer, ok := b.Backend.(poolkeeper.Viewer); ok {
		return viewer.View()
	}
	return nil
}

// Watch makes the layer a poolkeeper.Watcher, as what it is over may be one.
func (b *backend) Watch(ctx context.Context, fn func(poolkeeper.Change)) error {
	return poolkeeper.New(b.Backend, nil).Watch(ctx, fn)
}
