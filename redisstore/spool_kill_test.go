package redisstore_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	"github.com/poolkeeper/poolkeeper/redisstore"
)

var spoolCounting = childRole("spool-counting", spoolChild)

// A spoolSpec is what a child of spoolCounting is to do: make the increments
// from From to To, one for each provider, and die at the At-th Step.
type spoolSpec struct {
	URL, Spool, Log, Step string
	At, From, To          int
}

// resendAfter is how long after a request was frozen it is surely being sent again.
const resendAfter = 40 * time.Millisecond

func spoolChild() int {
	var spec spoolSpec
	if err := json.Unmarshal([]byte(os.Getenv(exactSpecVariable)), &spec); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if err := runSpoolChild(spec); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func runSpoolChild(spec spoolSpec) error {
	ctx := context.Background()
	s, err := openSpool(spec.Spool)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	came := 0
	die := func() {
		p, _ := os.FindProcess(os.Getpid())
		p.Kill()
		select {}
	}
	s.at = func(step string) {
		mu.Lock()
		defer mu.Unlock()
		if spec.Step == "resend" && step == "after freeze" {
			if came++; came == spec.At {
				time.AfterFunc(resendAfter, die)
			}
		} else if step == spec.Step {
			if came++; came == spec.At {
				die()
			}
		}
	}
	var b *redisstore.Store
	for end := time.Now().Add(20 * time.Second); ; {
		b, err = redisstore.Open(ctx, spec.URL, &redisstore.Options{Prefix: rigPrefix, CommandTimeout: 20 * time.Millisecond, Spool: s})
		if err == nil {
			break
		} else if time.Now().After(end) {
			return err
		}
	}
	defer b.Close()
	key := poolkeeper.PoolKey("kill")
	_, frozen := s.left()
	for _, f := range frozen {
		if err := b.Resume(f); err != nil {
			return err
		}
	}
	var one sync.Mutex
	// drain brings what is queued to Redis, as the layer above a store does.
	drain := func() {
		one.Lock()
		defer one.Unlock()
		for {
			ops, frozen := s.left()
			if len(ops) == 0 && len(frozen) == 0 {
				b.Hold(key, false)
				return
			}
			if len(frozen) == 0 {
				b.Replay(ctx, ops)
			} else {
				time.Sleep(time.Millisecond)
			}
		}
	}
	drain()
	var wg sync.WaitGroup
	next := make(chan int)
	for range 4 {
		wg.Go(func() {
			for n := range next {
				fmt.Fprintf(log, "i %d\n", n)
				op := poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: key, ID: "p" + strconv.Itoa(n), N: 1, At: rigAt}
				for {
					res := b.Apply(ctx, op)[0]
					if res.Err == nil {
						break
					}
					if !errors.Is(res.Err, poolkeeper.ErrUnavailable) {
						fmt.Fprintf(log, "x %d %v\n", n, res.Err)
						break
					}
					drain()
				}
				fmt.Fprintf(log, "a %d\n", n)
				s.at("after answer")
			}
		})
	}
	for n := spec.From; n < spec.To; n++ {
		next <- n
	}
	close(next)
	wg.Wait()
	drain()
	fmt.Fprintln(log, "e")
	return nil
}

// A process that is killed at whatever step, and again while the next one makes
// up for it, loses no acknowledged increment, and counts none twice.
func TestSpoolWhenKilled(t *testing.T) {
	const ops, lives = 60, 5
	for _, step := range []string{"before freeze", "after freeze", "after answer", "resend", "before settle", "after settle"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			rnd := rand.New(rand.NewPCG(seed, 0))
			r := newRig(t)
			replace := poolkeeper.Op{Kind: poolkeeper.OpReplacePool, Key: poolkeeper.PoolKey("kill")}
			for i := range ops {
				id := "p" + strconv.Itoa(i)
				replace.Providers = append(replace.Providers, poolkeeper.ProviderRecord{ID: id, Definition: fmt.Appendf(nil, `{"uuid":%q}`, id)})
			}
			r.must(r.b, replace)
			proxy := redistest.StartProxy(t, r.srv.Socket())
			proxy.SetFaults(redistest.Faults{CutAfter: 0.3, CutBefore: 0.2, CutMid: 0.1, Seed: seed, Only: []string{"EVALSHA", "EVAL"}})
			dir := t.TempDir()
			spec := spoolSpec{URL: proxy.URL(), Spool: filepath.Join(dir, "spool"), Log: filepath.Join(dir, "log"), Step: step, To: ops}
			killed := 0
			for life := 0; ; life++ {
				switch spec.At = 1 + rnd.IntN(4); life {
				case 0: // so that one is killed, however few steps of the kind there are
					spec.At = 1
				case lives:
					spec.Step = ""
				}
				err := runSpoolProcess(spec)
				var exit *exec.ExitError
				if err == nil {
					break
				} else if !errors.As(err, &exit) || exit.Exited() || life == lives {
					t.Fatalf("life %d: %v", life, err)
				}
				killed++
				_, _, spec.From = readSpoolLog(t, spec.Log)
			}
			if killed == 0 {
				t.Error("no process was killed")
			}
			acked, ended, _ := readSpoolLog(t, spec.Log)
			if !ended {
				t.Fatal("the last process did not come to its end")
			}
			for i := range ops {
				got := r.srv.DoString("HGET", "t:state:{t:pools:kill}", "p"+strconv.Itoa(i)+":usageCount")
				if got != "1" && (acked[i] || got != "") && got != "0" || acked[i] && got != "1" {
					t.Errorf("increment %d, acknowledged %t, is counted %q times", i, acked[i], got)
				}
			}
		})
	}
}

func runSpoolProcess(spec spoolSpec) error {
	text, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+spoolCounting, exactSpecVariable+"="+string(text))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return err
	}
	timer := time.AfterFunc(60*time.Second, func() { cmd.Process.Kill() })
	defer timer.Stop()
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, &out)
	}
	return nil
}

// readSpoolLog reads which increments were acknowledged, and which is the first
// one that was not begun.
func readSpoolLog(t *testing.T, path string) (acked map[int]bool, ended bool, next int) {
	t.Helper()
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, false, 0
	} else if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	acked = map[int]bool{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		n, _ := strconv.Atoi(rest)
		switch word {
		case "i":
			next = max(next, n+1)
		case "a":
			acked[n] = true
		case "e":
			ended = true
		default:
			t.Error(lines.Text())
		}
	}
	return acked, ended, next
}
