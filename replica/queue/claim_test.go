package queue_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
	"github.com/poolkeeper/poolkeeper/replica/backlog"
	"github.com/poolkeeper/poolkeeper/replica/queue"
)

const journalsKey = "t:journals:{t:meta}"

// A lines is a log that is read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) with(text string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for line := range strings.Lines(l.b.String()) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

func (l *lines) options() *queue.Options {
	return &queue.Options{Logger: slog.New(slog.NewTextHandler(l, nil))}
}

func (r *rig) copied(dir string) string {
	r.Helper()
	to := filepath.Join(r.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		r.Fatal(err)
	}
	return to
}

func (r *rig) online(q *queue.Queue) {
	r.Helper()
	r.empty(q)
	r.eventually("it is online", func() bool { return q.Mode() == poolkeeper.ModeOnline })
}

// away waits until the store is known to be away: from then on nothing is sent.
func (r *rig) away(queues ...*queue.Queue) {
	r.Helper()
	for _, q := range queues {
		r.eventually("the store is found to be away", func() bool {
			q.Info(r.Context())
			return q.Mode() == poolkeeper.ModeDegraded
		})
	}
}

// cut has a proxy refuse everything, until it is let.
func cut(p *redistest.Proxy) {
	p.Refuse(true)
	p.DropAll()
}

func (r *rig) counts(want string) {
	r.Helper()
	if got := r.state("a", "usageCount"); got != want {
		r.Errorf("the counter is %s, want %s", got, want)
	}
}

// Of two instances on copies of one directory one brings what waits there. What the
// other one has is set aside, and it goes on; so do both after the next outage.
func TestCopiedDirectory(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	q := r.queue(r.srv.SocketURL(), dir, nil)
	r.must(q, useOp("a", 1), poolkeeper.Applied)
	r.srv.Stop()
	r.away(q)
	r.must(q, useOp("a", 10), poolkeeper.Queued)
	r.must(q, patchOp("c", `{"x":1}`), poolkeeper.Queued)
	r.must(q, putOp("one.json", `{"n":1}`), poolkeeper.Queued)
	q.Close()
	copied := r.copied(dir)
	r.srv.Restart()
	first := r.queue(r.srv.SocketURL(), dir, nil)
	r.online(first)
	r.must(first, putOp("one.json", `{"n":2}`), poolkeeper.Applied)
	var log lines
	second := r.queue(r.srv.SocketURL(), copied, log.options())
	r.online(second)
	r.counts("11")
	if got := r.srv.DoString("GET", "t:doc:one.json"); got != `{"n":2}` {
		t.Errorf("the document is %s", got)
	}
	if a, b := first.Backlog().Aside(), second.Backlog().Aside(); len(a) != 0 || len(b) != 3 || b[0].Reason != "indeterminate" {
		t.Errorf("set aside are %+v and %+v", a, b)
	}
	if said := log.with("copy of the state directory"); len(said) != 1 || !strings.Contains(said[0], copied) || !strings.Contains(said[0], "ops=3") || !strings.Contains(said[0], "journal retry") || len(log.with("is set aside")) != 1 {
		t.Errorf("it was said that %q", said)
	}
	r.must(second, useOp("a", 100), poolkeeper.Applied)
	if d, err := second.DiscardAside(t.Context(), poolkeeper.Pick{All: true}); d.Changed != 3 || err != nil {
		t.Errorf("given up: %+v, %v", d, err)
	}
	r.srv.Stop()
	r.away(first, second)
	r.must(first, useOp("a", 1000), poolkeeper.Queued)
	r.must(second, useOp("a", 10_000), poolkeeper.Queued)
	r.srv.Restart()
	r.online(first)
	r.online(second)
	r.counts("11111")
	if a, b := first.Backlog().Aside(), second.Backlog().Aside(); len(a)+len(b) != 0 {
		t.Errorf("set aside are %+v and %+v", a, b)
	}
}

// An instance finds out that a copy of its directory was used while it waited: it
// brings nothing of what waited until then, and what a person says is brought is.
func TestCopyUsedMeanwhile(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	p := redistest.StartProxy(t, r.srv.Socket())
	q := r.queue(p.URL(), dir, nil)
	r.must(q, useOp("a", 1), poolkeeper.Applied)
	cut(p)
	r.away(q)
	r.must(q, useOp("a", 10), poolkeeper.Queued)
	copied := r.copied(dir)
	r.must(q, useOp("a", 100), poolkeeper.Queued) // on top of what the copy has
	r.must(q, useOp("b", 1), poolkeeper.Queued)
	r.online(r.queue(r.srv.SocketURL(), copied, nil))
	r.counts("11")
	p.Refuse(false)
	r.online(q)
	r.counts("11")
	if aside := q.Backlog().Aside(); len(aside) != 2 {
		t.Errorf("set aside are %+v", aside)
	}
	r.must(q, useOp("a", 1000), poolkeeper.Applied)
	if d, err := q.RetryAside(t.Context(), poolkeeper.Pick{All: true}); d.Changed != 2 || err != nil {
		t.Errorf("tried again: %+v, %v", d, err)
	}
	r.online(q)
	r.counts("1121")
	if got := r.state("b", "usageCount"); got != "1" || len(q.Backlog().Aside()) != 0 {
		t.Errorf("b counts %s, and set aside are %+v", got, q.Backlog().Aside())
	}
}

// A replayed source calls a function before each Replay.
type replayed struct {
	*redisstore.Store
	before func()
}

func (s replayed) Replay(ctx context.Context, ops []poolkeeper.QueuedOp) []poolkeeper.Result {
	s.before()
	return s.Store.Replay(ctx, ops)
}

func (r *rig) replaying(url, dir string, opts *queue.Options, before func()) *queue.Queue {
	r.Helper()
	log, err := backlog.Open(dir, nil)
	if err != nil {
		r.Fatal(err)
	}
	opts.Probe = 20 * time.Millisecond
	q, err := queue.New(r.Context(), func(ctx context.Context) (queue.Source, error) {
		s, err := redisstore.Open(ctx, url, options(log))
		if err != nil {
			return nil, err
		}
		return replayed{s, before}, nil
	}, log, opts)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { q.Close() })
	return q
}

// A copy that was made in the middle of a replay, and is used when that has ended, is
// brought by nobody else; one that is used in the middle of it is noticed at its end.
func TestCopiedInReplay(t *testing.T) {
	for _, when := range []string{"after it", "in it"} {
		t.Run(when, func(t *testing.T) {
			r := newRig(t)
			dir, copied := t.TempDir(), ""
			var once sync.Once
			var log lines
			q := r.replaying(r.srv.SocketURL(), dir, log.options(), func() {
				once.Do(func() {
					copied = r.copied(dir)
					if when == "in it" {
						r.online(r.queue(r.srv.SocketURL(), copied, nil))
					}
				})
			})
			r.must(q, useOp("a", 1), poolkeeper.Applied)
			r.srv.Stop()
			r.away(q)
			r.must(q, useOp("a", 10), poolkeeper.Queued)
			r.srv.Restart()
			r.online(q)
			if when == "in it" {
				r.eventually("it is noticed", func() bool { return len(log.with("may have counted twice")) == 1 })
				return
			}
			r.eventually("the journal is claimed once more", func() bool {
				return strings.HasPrefix(r.srv.HGetAll(journalsKey)[r.journal()], "2 ")
			})
			second := r.queue(r.srv.SocketURL(), copied, nil)
			r.online(second)
			r.counts("11")
			if aside := second.Backlog().Aside(); len(aside) != 1 {
				t.Errorf("set aside are %+v", aside)
			}
		})
	}
}

// journal is the only one that was claimed.
func (r *rig) journal() string {
	r.Helper()
	all := r.srv.HGetAll(journalsKey)
	if len(all) != 1 {
		r.Fatalf("claimed are %v", all)
	}
	for name := range all {
		return name
	}
	return ""
}

// A replay that an outage breaks off needs another claim: a copy may have been made,
// and used, in that outage. It makes no difference whether what is left was taken with
// what was sent, or is still to be taken.
func TestReplayBrokenOff(t *testing.T) {
	for _, chunk := range []int{1, 100} {
		r := newRig(t)
		dir := t.TempDir()
		p := redistest.StartProxy(t, r.srv.Socket())
		var once sync.Once
		q := r.replaying(p.URL(), dir, &queue.Options{Chunk: chunk}, func() {
			once.Do(func() { cut(p) })
		})
		r.must(q, useOp("a", 1), poolkeeper.Applied)
		cut(p)
		r.away(q)
		r.must(q, useOp("a", 10), poolkeeper.Queued)
		r.must(q, patchOp("c", `{"x":1}`), poolkeeper.Queued)
		r.must(q, useOp("b", 1), poolkeeper.Queued)
		p.Refuse(false)
		r.eventually("the replay begins", func() bool { return q.Backlog().State().Frozen == 1 })
		r.away(q)
		second := r.queue(r.srv.SocketURL(), r.copied(dir), nil)
		r.online(second)
		p.Refuse(false)
		r.online(q)
		r.counts("11")
		if got := r.state("b", "usageCount"); got != "1" || len(q.Backlog().Aside()) != 2 || len(second.Backlog().Aside()) != 0 {
			t.Errorf("%d at once: b counts %s; set aside are %+v and %+v", chunk, got, q.Backlog().Aside(), second.Backlog().Aside())
		}
	}
}

// Nothing is claimed where nothing waits, nor for a journal in memory.
func TestNothingToClaim(t *testing.T) {
	r := newRig(t)
	q, memory := r.queue(r.srv.SocketURL(), t.TempDir(), nil), r.queue(r.srv.SocketURL(), "", nil)
	r.srv.Stop()
	r.away(q, memory)
	r.must(memory, useOp("a", 1), poolkeeper.Buffered)
	r.srv.Restart()
	r.online(q)
	r.online(memory)
	r.must(q, useOp("a", 1), poolkeeper.Applied)
	r.counts("2")
	if all := r.srv.HGetAll(journalsKey); len(all) != 0 {
		t.Errorf("claimed are %v", all)
	}
}

// What waits is not brought to the store before the journal is claimed there. That
// is said once, and tried until it is.
func TestClaimFails(t *testing.T) {
	r := newRig(t)
	var log lines
	q := r.queue(r.srv.SocketURL(), t.TempDir(), log.options())
	r.must(q, useOp("a", 1), poolkeeper.Applied)
	r.srv.DoString("SET", journalsKey, "not a hash")
	r.srv.Stop()
	r.away(q)
	r.must(q, useOp("a", 10), poolkeeper.Queued)
	r.srv.Restart()
	r.eventually("it is said", func() bool { return len(log.with("cannot be claimed")) > 0 })
	time.Sleep(200 * time.Millisecond) // a few more tries
	if n := len(log.with("cannot be claimed")); n != 1 || q.Backlog().State().Ops != 1 {
		t.Errorf("said %d times, with %+v", n, q.Backlog().State())
	}
	r.counts("1")
	r.srv.DoInt("DEL", journalsKey)
	r.online(q)
	r.counts("11")
}
