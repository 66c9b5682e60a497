package redisstore_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

// older starts the server again from what it saved last.
func (r *rig) older() {
	r.Helper()
	r.srv.Kill()
	r.srv.Restart()
}

// counted waits for a counter.
func (r *rig) counted(id, want string) {
	r.Helper()
	eventually(r.T, "the counter of "+id+" is "+want, func() bool { return r.usageOf(id) == want })
}

// nothingLost fails where a store reports a loss.
func (r *rig) nothingLost(b *redisstore.Store) {
	r.Helper()
	if lost := b.Lost(); len(lost) > 0 {
		r.Errorf("reported as lost: %+v", lost)
	}
}

// A Redis that came back from an older state is given what it has lost again, in
// its order: by whoever writes next to a key, and where nobody does all the same.
func TestOlderRedisIsMended(t *testing.T) {
	t.Parallel()
	for _, writes := range []bool{true, false} {
		t.Run(fmt.Sprintf("writes=%v", writes), func(t *testing.T) {
			r := newRig(t)
			session := poolkeeper.SessionKey(poolkeeper.SessionName("b"))
			r.must(r.b, useOp("a", 1))
			r.must(r.b, putOp(poolkeeper.PasswordKey, "one"))
			r.srv.DoString("SAVE")
			r.must(r.b, useOp("a", 1))
			r.must(r.b, errorOp("b"))
			r.must(r.b, keyedOp("k", "b", 7))
			r.must(r.b, defineOp(poolkeeper.OpAddProvider, "d", ""))
			r.must(r.b, useOp("d", 3))
			rename := poolOp(poolkeeper.OpRenameProvider, "d")
			rename.NewID = "e"
			r.must(r.b, rename)
			r.must(r.b, useOp("d", 2))
			r.must(r.b, useOp("e", 5))
			r.must(r.b, patchOp(poolkeeper.ConfigKey, `{"b":1}`))
			r.must(r.b, patchOp(poolkeeper.ConfigKey, `{"b":2}`))
			op := putOp(session, `{"s":1}`)
			op.ExpiresAt = time.Now().Add(time.Hour).UnixMilli()
			r.must(r.b, op)
			other := replaceOp("x", "y")
			other.Key = poolkeeper.PoolKey("other")
			r.must(r.b, other)
			for range 20 { // which are applied again as one
				r.must(r.b, useOp("c", 1))
			}
			want := r.load()
			number, _ := strconv.Atoi(r.revisionOf(rigPool))
			r.older()
			if got := r.usageOf("a"); writes && got != "6" {
				t.Fatalf("usageCount %s after the restart, want 6", got)
			}
			if writes { // and what comes next is behind it
				if res := r.must(r.b, useOp("a", 10)); res.Count != 17 {
					t.Errorf("usageCount %d, want 17", res.Count)
				}
				r.must(r.b, useOp("e", 1))
				r.must(r.b, patchOp(poolkeeper.ConfigKey, `{"c":3}`))
				want = strings.Replace(want, `"b": 2}`, `"b": 2, "c": 3}`, 1)
				if !strings.Contains(r.srv.DoString("GET", "t:config"), `"b": 2, "c": 3`) {
					t.Errorf("config %s", r.srv.DoString("GET", "t:config"))
				}
				r.counted("e", "11")
				r.counted("a", "17")
			} else {
				eventually(t, "everything is there again", func() bool { return r.load() == want })
			}
			r.counted("b", "7")
			eventually(t, "all keys are mended", func() bool {
				return r.srv.DoInt("EXISTS", "t:sessions:"+session.Name) == 1 && r.srv.DoInt("HLEN", "t:pools:other") == 2 &&
					strings.Contains(strings.Join(r.srv.DoStrings("LRANGE", "t:pool-order", "0", "-1"), " "), "other")
			})
			if res := r.must(r.b, keyedOp("k", "b", 7)); res.Count != 7 {
				t.Errorf("an increment under a key that has counted: %d, want 7", res.Count)
			}
			if now, _ := strconv.Atoi(r.revisionOf(rigPool)); now <= number {
				t.Errorf("the revision was %d, and is %d: a copy of before would count as newer", number, now)
			}
			r.nothingLost(r.b)
			if got := r.srv.DoString("GET", "t:pwd"); got != "one" {
				t.Errorf("the password is %q", got)
			}
		})
	}
}

// traffic increments until it is told to stop, and says how much was acknowledged.
func (r *rig) traffic(stores []*redisstore.Store, callers int) (stop func() int64) {
	var acked atomic.Int64
	var done atomic.Bool
	var wg sync.WaitGroup
	for i := range callers {
		b := stores[i%len(stores)]
		wg.Go(func() {
			for n := 0; !done.Load(); n++ {
				add := int64(1 + n%3)
				op := useOp([]string{"a", "b", "c"}[(i+n)%3], add)
				if n%11 == 5 {
					op = poolOp(poolkeeper.OpSuccess, op.ID)
					op.N = add
				}
				switch res := r.try(b, op); {
				case res.Err == nil:
					acked.Add(add)
				case !errors.Is(res.Err, poolkeeper.ErrUnavailable):
					r.Errorf("increment: %v", res.Err)
					return
				}
			}
		})
	}
	return func() int64 {
		done.Store(true)
		wg.Wait()
		return acked.Load()
	}
}

// sum is what is counted of all three providers, beyond what their definitions say.
func (r *rig) sum() int64 {
	n := int64(0)
	for _, id := range []string{"a", "b", "c"} {
		v, _ := strconv.ParseInt(r.usageOf(id), 10, 64)
		n += v
	}
	if r.usageOf("a") != "" {
		n -= 5
	}
	return n
}

func lostSum(stores []*redisstore.Store) (n int64, exact bool) {
	exact = true
	for _, b := range stores {
		for _, l := range b.Lost() {
			n += l.N
			exact = exact && !l.AtMost
		}
	}
	return n, exact
}

func tenacious(o *redisstore.Options) { o.RetryFor = 60 * time.Second }

// However often Redis goes back to an older state under load, also while it is
// being mended, what several instances had acknowledged is there in the end.
func TestMendedUnderLoad(t *testing.T) {
	r := newRig(t)
	stores := []*redisstore.Store{r.open(r.srv.SocketURL(), tenacious), r.open(r.srv.SocketURL(), tenacious)}
	stop := r.traffic(stores, 60)
	lost := 0
	for i := range 6 {
		time.Sleep(60 * time.Millisecond)
		if i%3 == 0 {
			r.srv.DoString("SAVE")
			time.Sleep(60 * time.Millisecond)
		}
		before := r.sum()
		r.srv.Kill()
		if i == 2 { // goes back twice before anybody may have been here
			r.srv.Restart()
			r.srv.Kill()
		}
		r.srv.Restart()
		if r.sum() < before {
			lost++
		}
	}
	acked := stop()
	eventually(t, "all is counted", func() bool { return r.sum() == acked })
	for _, b := range stores {
		r.nothingLost(b)
	}
	if lost == 0 {
		t.Error("Redis has never lost anything")
	}
	t.Logf("%d acknowledged", acked)
}

// What the tail does not reach is reported, and by how much: what was acknowledged
// is what is there and what is reported.
func TestLostIsReported(t *testing.T) {
	r := newRig(t)
	few := func(o *redisstore.Options) { tenacious(o); o.TailBytes = 3000 }
	stores := []*redisstore.Store{r.open(r.srv.SocketURL(), few), r.open(r.srv.SocketURL(), few)}
	stop := r.traffic(stores, 40)
	time.Sleep(30 * time.Millisecond)
	r.srv.DoString("SAVE")
	time.Sleep(100 * time.Millisecond)
	r.older()
	time.Sleep(50 * time.Millisecond)
	r.older()
	acked := stop()
	eventually(t, "all is counted or reported", func() bool {
		lost, exact := lostSum(stores)
		return exact && lost > 0 && r.sum()+lost == acked
	})
	lossy := stores[0]
	if len(lossy.Lost()) == 0 {
		lossy = stores[1]
	}
	if info, err := lossy.Info(t.Context()); err != nil || info.Details["lost"] == "" || !strings.Contains(strings.Join(info.Warnings, " "), "has lost") {
		t.Errorf("Info: %+v, %v", info, err)
	}
	for _, l := range lossy.Lost() {
		if l.Key != kiro || l.Reason != "lost" || l.Ops == 0 || l.First == 0 || l.Last < l.First {
			t.Errorf("it reports %+v", l)
		}
	}
}

// An edit is applied again on top of what others have written since, by the rules
// of a replay: a patch by its fields, a whole value only where it is the later one.
func TestMendedDoesNotTrample(t *testing.T) {
	r := newRig(t)
	proxy, b := r.proxied()
	doc := poolkeeper.DocumentKey("d")
	r.must(r.b, putOp(doc, `{"v":1}`))
	decided := func(at int64, healthy bool) poolkeeper.Op {
		op := poolOp(poolkeeper.OpHealth, "b")
		op.At, op.Healthy, op.Threshold = at, healthy, 3
		return op
	}
	r.srv.DoString("SAVE")
	r.must(b, putOp(doc, `{"v":2}`))
	r.must(b, patchOp(poolkeeper.ConfigKey, `{"mine":1}`))
	r.must(b, decided(rigAt+1000, false))
	r.must(b, useOp("b", 4))
	proxy.Down()
	r.older()
	other := r.open(r.srv.SocketURL())
	r.must(other, decided(rigAt+2000, true))
	r.must(other, patchOp(poolkeeper.ConfigKey, `{"theirs":2}`))
	r.must(other, useOp("b", 3))
	r.must(other, putOp(doc, `{"v":3}`))
	proxy.Up()
	r.must(b, useOp("b", 1))
	r.counted("b", "8")
	eventually(t, "both patches are there", func() bool {
		c := r.srv.DoString("GET", "t:config")
		return strings.Contains(c, `"mine"`) && strings.Contains(c, `"theirs"`)
	})
	r.must(b, patchOp(doc, `{"w":1}`))
	if got := r.srv.DoString("GET", "t:doc:d"); got != `{"v":3,"w":1}` {
		t.Errorf("the document is %s", got)
	}
	if got := r.srv.DoString("HGET", "t:state:{"+rigPool+"}", "b:isHealthy"); got != "true" {
		t.Errorf("the earlier decision has won: isHealthy %s", got)
	}
	lost := b.Lost()
	if len(lost) != 1 || lost[0].Key != doc || lost[0].Ops != 1 || lost[0].Reason != "conflict" {
		t.Errorf("it reports %+v, want the document that was put", lost)
	}
}

// Of two instances that have put a value, both lost, the later one wins, whoever
// mends first.
func TestMendedByTwo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	one, two := poolkeeper.DocumentKey("one"), poolkeeper.DocumentKey("two")
	other := r.open(r.srv.SocketURL())
	r.srv.DoString("SAVE")
	put := func(b *redisstore.Store, key poolkeeper.Key, data string) {
		t.Helper()
		time.Sleep(20 * time.Millisecond)
		r.must(b, putOp(key, data))
	}
	put(r.b, one, `{"v":1}`)
	put(other, two, `{"v":1}`)
	put(other, one, `{"v":2}`)
	put(r.b, two, `{"v":2}`)
	r.older()
	eventually(t, "the later ones are there", func() bool {
		return r.srv.DoString("GET", "t:doc:one") == `{"v":2}` && r.srv.DoString("GET", "t:doc:two") == `{"v":2}`
	})
	time.Sleep(300 * time.Millisecond)
	if a, b := r.srv.DoString("GET", "t:doc:one"), r.srv.DoString("GET", "t:doc:two"); a != `{"v":2}` || b != `{"v":2}` {
		t.Errorf("they are %s and %s", a, b)
	}
}

// A replica that lagged, and became the primary, is given what it never had.
func TestLaggingReplicaIsMended(t *testing.T) {
	r := newRig(t)
	replica := redistest.Start(t, redistest.WithReplicaOf(r.srv))
	link := filepath.Join(t.TempDir(), "s")
	to := func(s *redistest.Server) {
		t.Helper()
		if err := os.Symlink(s.Socket(), link+"~"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link+"~", link); err != nil {
			t.Fatal(err)
		}
	}
	to(r.srv)
	proxy := redistest.StartProxy(t, link)
	stores := []*redisstore.Store{r.open(proxy.URL(), tenacious), r.open(proxy.URL(), tenacious)}
	stop := r.traffic(stores, 30)
	time.Sleep(50 * time.Millisecond)
	replica.DoString("REPLICAOF", "127.0.0.1", "1") // the link is gone
	time.Sleep(100 * time.Millisecond)
	proxy.Down()
	r.srv.Kill()
	replica.DoString("REPLICAOF", "NO", "ONE")
	had := (&rig{T: t, srv: replica}).sum()
	to(replica)
	proxy.Up()
	time.Sleep(100 * time.Millisecond)
	acked := stop()
	r.srv = replica
	eventually(t, "all is counted", func() bool { return r.sum() == acked })
	for _, b := range stores {
		r.nothingLost(b)
	}
	t.Logf("%d acknowledged; the replica had %d", acked, had)
}

// So is a server whose append-only file was cut.
func TestCutFileIsMended(t *testing.T) {
	t.Parallel()
	r := newRig(t, redistest.WithAOF("always"), redistest.WithConfig("aof-load-truncated", "yes"))
	b := r.open(r.srv.SocketURL(), tenacious)
	for range 50 {
		r.must(b, useOp("a", 1))
	}
	r.must(b, patchOp(poolkeeper.ConfigKey, `{"b":1}`))
	r.srv.Kill()
	var file string
	filepath.WalkDir(r.srv.Dir(), func(path string, d fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".incr.aof") {
			file = path
		}
		return err
	})
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, info.Size()*2/3); err != nil {
		t.Fatal(err)
	}
	r.srv.Restart()
	if n := r.sum(); n >= 50 {
		t.Fatalf("%d of 50 are still counted", n)
	}
	eventually(t, "all is counted", func() bool {
		return r.sum() == 50 && strings.Contains(r.srv.DoString("GET", "t:config"), `"b"`)
	})
	r.nothingLost(b)
}

// What was acknowledged after a revision can be had, to be sent again.
func TestUnsettled(t *testing.T) {
	r := newRig(t)
	first := r.must(r.b, useOp("a", 1)).Revision.Number
	r.must(r.b, useOp("a", 2))
	r.must(r.b, errorOp("b"))
	r.must(r.b, patchOp(poolkeeper.ConfigKey, `{"b":1}`))
	ops := r.b.Unsettled(kiro, first)
	if len(ops) != 2 || ops[0].Kind != poolkeeper.OpUsage || ops[0].ID != "a" || ops[0].N != 2 || ops[0].At != rigAt || ops[1].Kind != poolkeeper.OpError {
		t.Errorf("after revision %d: %+v", first, ops)
	}
	if ops := r.b.Unsettled(kiro, first+2); len(ops) != 0 {
		t.Errorf("after the last revision: %+v", ops)
	}
	if ops := r.b.Unsettled(poolkeeper.ConfigKey, 0); len(ops) != 1 || string(ops[0].Data) != `{"b":1}` {
		t.Errorf("of the config: %+v", ops)
	}
}

// writerFields are the last sequences of the writers of the pool.
func (r *rig) writerFields() map[string]string {
	all := map[string]string{}
	for name, v := range r.srv.HGetAll("t:ctl:{" + rigPool + "}") {
		if seq, _, _ := strings.Cut(v, " "); strings.HasPrefix(name, "w:") {
			all[name[2:]] = seq
		}
	}
	return all
}

// A turn ends the writers that it replaces: whatever of theirs comes late is not
// executed.
func TestTurnEndsWriters(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	info, err := r.b.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.must(r.b, useOp("a", 1))
	r.srv.DoString("SAVE")
	r.must(r.b, useOp("a", 1))
	r.older()
	r.counted("a", "7")
	const ended = "9007199254740991"
	fields := r.writerFields()
	if len(fields) != 4 || fields[info.Writer] != ended {
		t.Errorf("the writers are %v; want two that are ended, %s among them, and two new ones", fields, info.Writer)
	}
}

// Redis may lose the turn as well, before anything was applied again, and go back
// further: then the repair begins anew, with what is missing now.
func TestLostAgainRightAfterTheTurn(t *testing.T) {
	r := newRig(t)
	tap := startTap(t, r.srv.Socket())
	b := r.open(tap.url(), tenacious)
	r.must(b, useOp("a", 1))
	r.srv.DoString("SAVE")
	oldest, err := os.ReadFile(filepath.Join(r.srv.Dir(), "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	r.must(b, useOp("a", 10))
	r.srv.DoString("SAVE")
	r.must(b, useOp("a", 100))
	r.must(b, useOp("b", 1000))
	// The first request after the turn is held, and Redis goes back before it.
	tap.hold("b:usageCount")
	r.older()
	for range 3 { // whoever uses a connection finds out that it is gone
		b.Info(t.Context())
	}
	tap.waitHeld(t)
	ends := 0
	for _, seq := range r.writerFields() {
		if len(seq) > 10 {
			ends++
		}
	}
	if ends == 0 {
		t.Fatal("there was no turn")
	}
	r.srv.Kill()
	if err := os.WriteFile(filepath.Join(r.srv.Dir(), "dump.rdb"), oldest, 0o600); err != nil { // further back
		t.Fatal(err)
	}
	r.srv.Restart()
	tap.letGo()
	r.counted("a", "116")
	r.counted("b", "1000")
	r.nothingLost(b)
}

// However long Redis is away, the tail is there when it is back.
func TestTailOutlivesAnOutage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var ahead atomic.Int64
	b := r.open(r.srv.SocketURL(), func(o *redisstore.Options) {
		o.TailTime = time.Second
		o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	r.srv.DoString("SAVE")
	for range 20 {
		r.must(b, useOp("a", 1))
	}
	r.srv.Kill()
	ahead.Store(int64(time.Hour))
	time.Sleep(time.Second) // it asks, and asks again
	r.srv.Restart()
	r.counted("a", "25")
	r.nothingLost(b)
}
