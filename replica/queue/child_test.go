package queue_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/replica/queue"
)

// specVariable carries a spec to a child.
const specVariable = "POOLKEEPER_TEST_QUEUE"

// A spec is what a child is to do: apply the ops from From to To that were not
// begun yet, with so many callers, and then wait until nothing is queued any more,
// or for its end.
type spec struct {
	URL, Dir, Log     string
	From, To, Callers int
	Drain             bool
}

func child() int {
	var s spec
	if err := json.Unmarshal([]byte(os.Getenv(specVariable)), &s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if err := s.run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (s spec) run() error {
	before, err := parseLog(s.Log, s.To)
	if err != nil {
		return err
	}
	q, err := open(context.Background(), s.URL, s.Dir, nil)
	if err != nil {
		return err
	}
	defer q.Close()
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	// One after the other in each of the lanes of a mixed op, the callers side by side.
	var wg sync.WaitGroup
	for c := range s.Callers {
		wg.Go(func() {
			for n := s.From; n < s.To; n++ {
				if laneOf(n)%s.Callers != c || before.begun[n] {
					continue
				}
				op := mixed(n)
				fmt.Fprintf(log, "i %d\n", n)
				res := q.Apply(context.Background(), op)[0]
				if res.Err != nil {
					fmt.Fprintf(log, "x %d %v\n", n, res.Err)
					continue
				}
				fmt.Fprintf(log, "a %d\n", n)
			}
		})
	}
	wg.Wait()
	fmt.Fprintln(log, "e")
	for s.Drain {
		if st := q.Backlog().State(); st.Ops == 0 && st.Frozen == 0 {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	io.Copy(io.Discard, os.Stdin)
	return nil
}

func (s spec) start() (*exec.Cmd, io.Closer, *bytes.Buffer, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, nil, nil, err
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"=queue", specVariable+"="+string(text))
	out := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = out, out
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	return cmd, stdin, out, err
}

// Op n of the mix is on one of 500 groups: a provider, its definition, a document
// and, for some, the health. In each group ops have an order.
const groups = 500

func laneOf(n int) int { return n % groups }

func mixed(n int) poolkeeper.Op {
	g, round := n%groups, n/groups
	pool := poolkeeper.PoolKey(fmt.Sprint("pool", g%20))
	id := fmt.Sprint("p", g)
	op := poolkeeper.Op{Key: pool, ID: id, At: now()}
	switch round % 5 {
	case 0, 1:
		op.Kind, op.N = poolkeeper.OpUsage, int64(n+1)
	case 2:
		op = putOp(fmt.Sprintf("d%d.json", g), fmt.Sprintf(`{"n":%d}`, n))
	case 3:
		op.Kind, op.Patch, op.Data = poolkeeper.OpPatchProvider, poolkeeper.MergePatch, fmt.Appendf(nil, `{"last":%d,"n%d":1}`, n, round)
	case 4:
		op.Kind, op.Threshold = poolkeeper.OpError, 1000
		if round%10 == 9 {
			op.Kind, op.Usage = poolkeeper.OpReset, true
		}
	}
	return op
}

// A log is what children have written.
type log struct {
	acked []bool
	begun []bool
	ended int
	odd   []string // lines
}

func readLog(t *testing.T, path string, ops int) *log {
	t.Helper()
	l, err := parseLog(path, ops)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range l.odd {
		t.Error(line)
	}
	return l
}

func parseLog(path string, ops int) (*log, error) {
	l := &log{acked: make([]bool, ops), begun: make([]bool, ops)}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return l, nil
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		n, _ := strconv.Atoi(rest)
		if word != "e" && n >= ops {
			continue
		}
		switch word {
		case "i":
			l.begun[n] = true
		case "a":
			l.acked[n] = true
		case "e":
			l.ended++
		default:
			l.odd = append(l.odd, lines.Text())
		}
	}
	return l, nil
}

// addGroups makes the pools of the groups.
func (r *rig) addGroups() {
	r.Helper()
	for p := range 20 {
		replace := poolkeeper.Op{Kind: poolkeeper.OpReplacePool, Key: poolkeeper.PoolKey(fmt.Sprint("pool", p))}
		for g := p; g < groups; g += 20 {
			id := fmt.Sprint("p", g)
			replace.Providers = append(replace.Providers, poolkeeper.ProviderRecord{ID: id, Definition: fmt.Appendf(nil, `{"uuid":%q}`, id)})
		}
		r.must(r.plain, replace, poolkeeper.Applied)
	}
}

// life runs a process until it is to be killed, or comes to its end.
func (s spec) life(t *testing.T, until func() bool) {
	t.Helper()
	cmd, stdin, out, err := s.start()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for end := time.Now().Add(2 * time.Minute); ; {
		select {
		case err := <-ended:
			if err != nil || until != nil {
				t.Fatalf("a process ended by itself: %v: %s", err, out)
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
		if until != nil && until() {
			break
		}
		if time.Now().After(end) {
			t.Errorf("in vain for two minutes: %s", out)
			break
		}
	}
	cmd.Process.Kill()
	<-ended
}

// A process that is killed again and again, whatever it is at, while replies are
// lost and the server goes away: what was acknowledged is there once, and in its
// order.
func TestKilledAmongFaults(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	const ops, lives = 30_000, 8
	r := newRig(t)
	r.addGroups()
	proxy := redistest.StartProxy(t, r.srv.Socket())
	proxy.SetFaults(redistest.Faults{CutAfter: 0.03, CutBefore: 0.03, CutMid: 0.03, Seed: seed, Only: []string{"EVALSHA", "EVAL"}})
	dir := t.TempDir()
	s := spec{URL: proxy.URL(), Dir: filepath.Join(dir, "journal"), Log: filepath.Join(dir, "log"), To: ops, Callers: 50}
	for life := range lives {
		switch life % 3 {
		case 1:
			proxy.Down()
		case 2:
			time.AfterFunc(time.Duration(100+rnd.IntN(200))*time.Millisecond, proxy.Down)
		}
		back := time.AfterFunc(time.Duration(300+rnd.IntN(300))*time.Millisecond, proxy.Up)
		began, lasts := time.Now(), time.Duration(200+rnd.IntN(700))*time.Millisecond
		s.life(t, func() bool { return time.Since(began) > lasts })
		back.Stop()
		proxy.Up()
	}
	most := count(readLog(t, s.Log, ops).begun)
	s.To, s.Drain = min(ops, most+1000), true
	s.life(t, nil)
	l := readLog(t, s.Log, ops)
	t.Logf("%d ops were acknowledged", count(l.acked))
	for g := range groups {
		checkGroup(r, l, g, ops)
	}
	proxy.Clear()
	q := r.queue(s.URL, s.Dir, &queue.Options{})
	if st := q.Backlog().State(); st.Ops != 0 || st.Frozen != 0 || st.Aside != 0 {
		t.Errorf("in the end there is %+v", st)
	}
}

// 50,000 distinct ops while Redis is gone, by a process that is killed in the
// middle, and again while the next ones replay: all that was acknowledged is there
// once, and in its order.
func TestKilledInALongOutage(t *testing.T) {
	ops := 50_000
	if testing.Short() {
		ops = 10_000
	}
	r := newRig(t)
	r.addGroups()
	dir := t.TempDir()
	s := spec{URL: r.srv.SocketURL(), Dir: filepath.Join(dir, "journal"), Log: filepath.Join(dir, "log"), Callers: 100}
	r.srv.Stop()
	size := func() int64 {
		info, err := os.Stat(s.Log)
		if err != nil {
			return 0
		}
		return info.Size()
	}
	s.To = ops / 2
	s.life(t, func() bool { return size() > int64(ops)*4 })
	s.From, s.To = ops/2, ops
	before := readLog(t, s.Log, ops).ended
	s.life(t, func() bool { return readLog(t, s.Log, ops).ended > before })
	r.srv.Restart()
	// Twice killed in the middle of the replay.
	began := time.Now()
	for _, part := range []int64{5, 2} {
		s.From, s.To, s.Drain = 0, 0, true
		start := r.srv.DoInt("DBSIZE")
		s.life(t, func() bool { return r.srv.DoInt("DBSIZE") > start+groups/part/2 })
	}
	s.life(t, nil)
	t.Logf("the replay took %v, with two restarts", time.Since(began))
	l := readLog(t, s.Log, ops)
	if n := count(l.acked); n < ops*2/3 {
		t.Errorf("only %d ops were acknowledged", n)
	}
	for g := range groups {
		checkGroup(r, l, g, ops)
	}
	q := r.queue(s.URL, s.Dir, &queue.Options{})
	if st := q.Backlog().State(); st.Ops != 0 || st.Frozen != 0 || st.Aside != 0 {
		t.Errorf("in the end there is %+v", st)
	}
}

func count(bs []bool) (n int) {
	for _, b := range bs {
		if b {
			n++
		}
	}
	return n
}

// checkGroup compares what Redis has of a group with the log. An op without an
// answer may count or not; there is at most one in each life, the last one.
func checkGroup(r *rig, l *log, g, ops int) {
	r.Helper()
	type outcome struct {
		usage, document, last int
		patches               string
	}
	could := []outcome{{document: -1, last: -1}}
	for n := g; n < ops; n += groups {
		if !l.begun[n] {
			continue
		}
		var next []outcome
		for _, o := range could {
			if !l.acked[n] {
				next = append(next, o)
			}
			switch op := mixed(n); op.Kind {
			case poolkeeper.OpUsage:
				o.usage += n + 1
			case poolkeeper.OpReset:
				o.usage = 0
			case poolkeeper.OpPut:
				o.document = n
			case poolkeeper.OpPatchProvider:
				o.last, o.patches = n, o.patches+fmt.Sprintf(`,"n%d":1`, n/groups)
			}
			next = append(next, o)
		}
		could = next
	}
	pool, id := fmt.Sprint("t:pools:pool", g%20), fmt.Sprint("p", g)
	usage := r.srv.DoString("HGET", "t:state:{"+pool+"}", id+":usageCount")
	document := r.srv.DoString("GET", fmt.Sprintf("t:doc:d%d.json", g))
	definition := r.srv.DoString("HGET", pool, id)
	for _, o := range could {
		wantDocument, wantDefinition := "", fmt.Sprintf(`{"uuid":%q}`, id)
		if o.document >= 0 {
			wantDocument = fmt.Sprintf(`{"n":%d}`, o.document)
		}
		if o.last >= 0 {
			first := strings.SplitN(o.patches, `,`, 3)
			wantDefinition = fmt.Sprintf(`{"uuid":%q,"last":%d,%s`, id, o.last, first[1])
			if len(first) > 2 {
				wantDefinition += "," + first[2]
			}
			wantDefinition += "}"
		}
		if n, _ := strconv.Atoi(usage); n == o.usage && document == wantDocument && definition == wantDefinition {
			return
		}
	}
	r.Errorf("group %d is %s, %s, %s; want one of %+v", g, usage, document, definition, could)
}
