package filestore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/filestore"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
	"github.com/poolkeeper/poolkeeper/internal/vfs"
	"github.com/poolkeeper/poolkeeper/internal/vfs/faultfs"
)

// A teller is told what a scenario is about to do, and what was acknowledged.
type teller interface {
	try(what, value string)
	ack(what, value string)
	failed(what, value string, err error)
	over() bool // the process is no more
}

const scenarioToken = "configs/kiro/a.json"

// quickDir is a directory in memory, where the system has one: what a process
// has written outlives it there too, and syncs take no time.
func quickDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "poolkeeper-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// scenarioDir makes the directory that a scenario works on.
func scenarioDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(quickDir(t), "configs")
	for name, data := range map[string]string{
		"provider_pools.json": `{"t":[{"uuid":"a","note":0,"X_TOKEN_FILE_PATH":"` + scenarioToken + `"},{"uuid":"b","usageCount":10}],"u":[]}`,
		"config.json":         `{"v":0}`,
		"kiro/a.json":         `{"refreshToken":"0"}`,
	} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// scenario opens a store, counts, edits, renames, writes the files, closes and
// opens again, on after any error.
func scenario(dir string, openFS func(string) (vfs.FS, error), tell teller) {
	ctx := context.Background()
	a, b := poolkeeper.Ref{Type: "t", ID: "a"}, poolkeeper.Ref{Type: "t", ID: "b"}
	n := 0
	for round := range 2 {
		if round == 1 {
			if err := editClosed(dir); err != nil {
				tell.failed("edit", "", err)
				return
			}
			tell.ack("edit", "")
		}
		opts := &filestore.Options{Lag: time.Hour, Poll: time.Hour, OpenFS: openFS}
		if tell.over() {
			return
		}
		tell.try("open", strconv.Itoa(round))
		s, err := filestore.Open(ctx, dir, opts)
		if err != nil {
			tell.failed("open", "", err)
			if s, err = filestore.Open(ctx, dir, opts); err != nil {
				tell.failed("open", "again", err)
				continue
			}
		}
		st := poolkeeper.New(s, nil)
		do := func(what, value string, fn func() error) {
			if tell.over() {
				return
			}
			tell.try(what, value)
			if err := fn(); err != nil {
				tell.failed(what, value, err)
				return
			}
			tell.ack(what, value)
		}
		for range 1 + round {
			n++
			v := strconv.Itoa(n)
			do("usage", "1", func() error { _, err := st.Usage(ctx, b, 1); return err })
			do("note", v, func() error {
				_, err := st.PatchProvider(ctx, a, poolkeeper.MergePatch, []byte(`{"note":`+v+`}`), poolkeeper.Always)
				return err
			})
			do("token", v, func() error {
				_, err := st.PutToken(ctx, a, []byte(`{"refreshToken":"`+v+`"}`), poolkeeper.Always)
				return err
			})
			do("flush", "", func() error { return s.Flush(ctx) })
			do("usage", "1", func() error { _, err := st.Usage(ctx, b, 1); return err })
			do("config", v, func() error {
				_, err := st.PatchConfig(ctx, poolkeeper.MergePatch, []byte(`{"v":`+v+`}`), poolkeeper.Always)
				return err
			})
			do("add", v, func() error {
				_, err := st.AddProvider(ctx, "u", []byte(`{"uuid":"p`+v+`"}`))
				return err
			})
		}
		if round == 0 {
			do("rename", "c", func() error { _, err := st.RenameProvider(ctx, b, "c", poolkeeper.Always); return err })
		}
		do("close", "", s.Close)
		s.Close() // in vain, where the process is no more
	}
}

var uuidOfA = regexp.MustCompile(`"uuid": ?"a"`)

// editClosed edits files while the store is closed, as an operator would.
func editClosed(dir string) error {
	for name, change := range map[string]func(string) string{
		"config.json":         func(s string) string { return strings.Replace(s, `"v"`, `"edited":1,"v"`, 1) },
		"provider_pools.json": func(s string) string { return uuidOfA.ReplaceAllString(s, `"uuid":"a","edited":1`) },
	} {
		p := filepath.Join(dir, name)
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if err := os.WriteFile(p, []byte(change(string(data))), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// A ledger is what a scenario has told.
type ledger struct {
	acked map[string][]string
	// open is what was tried and not answered, or of which the outcome is unknown.
	open   map[string][]string
	errors []error
	dead   atomic.Bool
}

func newLedger() *ledger {
	return &ledger{acked: map[string][]string{}, open: map[string][]string{}}
}

func (l *ledger) try(what, value string) { l.open[what] = append(l.open[what], value) }

func (l *ledger) settle(what string) {
	if n := len(l.open[what]); n > 0 {
		l.open[what] = l.open[what][:n-1]
	}
}

func (l *ledger) ack(what, value string) {
	l.settle(what)
	l.acked[what] = append(l.acked[what], value)
}

func (l *ledger) failed(what, _ string, err error) {
	l.errors = append(l.errors, err)
	if !errors.Is(err, poolkeeper.ErrIndeterminate) && !l.over() {
		l.settle(what)
	}
}

func (l *ledger) over() bool { return l.dead.Load() }

// may reports whether a value is the last that was acknowledged, or one of
// those whose outcome is open.
func (l *ledger) may(what, value, first string) bool {
	if n := len(l.acked[what]); n > 0 {
		first = l.acked[what][n-1]
	}
	if value == first {
		return true
	}
	for _, v := range l.open[what] {
		if v == value {
			return true
		}
	}
	return false
}

// check opens the store as it was left, and holds it against the ledger.
func (l *ledger) check(dir string, opts *filestore.Options) error {
	// Each file is old or new, and never torn.
	for _, p := range []string{"provider_pools.json", "config.json", "kiro/a.json"} {
		data, err := os.ReadFile(filepath.Join(dir, p))
		if err != nil || rawjson.Valid(data) != nil {
			return fmt.Errorf("%s is torn or gone: %q, %v", p, data, err)
		}
	}
	ctx := context.Background()
	s, err := filestore.Open(ctx, dir, opts)
	if err != nil {
		return fmt.Errorf("it does not open: %w", err)
	}
	defer s.Close()
	snap, err := s.Load(ctx)
	if err != nil {
		return err
	}
	info, err := s.Info(ctx)
	if err != nil || len(info.Warnings) > 0 {
		return fmt.Errorf("nobody else has written: %q, %v", info.Warnings, err)
	}
	a, b := snap.Provider(poolkeeper.Ref{Type: "t", ID: "a"}), snap.Provider(poolkeeper.Ref{Type: "t", ID: "b"})
	if b == nil {
		b = snap.Provider(poolkeeper.Ref{Type: "t", ID: "c"})
	}
	if a == nil || b == nil {
		return errors.New("a provider is gone")
	}
	if n, from := int(b.Count(poolkeeper.UsageCount)), 10+len(l.acked["usage"]); n < from || n > from+len(l.open["usage"]) {
		return fmt.Errorf("usageCount %d; %d were acknowledged, %d are open", n, from-10, len(l.open["usage"]))
	}
	get := func(data []byte, key string) string {
		v, _ := rawjson.Get(data, key)
		return strings.Trim(string(v), `"`)
	}
	token, _ := snap.Token(poolkeeper.Ref{Type: "t", ID: "a"})
	for what, v := range map[string]string{
		"note": get(a.Definition, "note"), "token": get(token.Data, "refreshToken"), "config": get(snap.Values[poolkeeper.ConfigKey].Data, "v"),
	} {
		if !l.may(what, v, "0") {
			return fmt.Errorf("%s is %q; acknowledged %v, open %v", what, v, l.acked[what], l.open[what])
		}
	}
	if len(l.acked["edit"]) > 0 && (get(snap.Values[poolkeeper.ConfigKey].Data, "edited") != "1" || get(a.Definition, "edited") != "1") {
		return errors.New("the edit is gone")
	}
	for _, v := range l.acked["add"] {
		if snap.Provider(poolkeeper.Ref{Type: "u", ID: "p" + v}) == nil {
			return fmt.Errorf("provider p%s was added and is gone", v)
		}
	}
	if len(l.acked["rename"]) > 0 {
		old, err := s.Load(ctx, poolkeeper.ProviderKey(poolkeeper.Ref{Type: "t", ID: "b"}))
		if err != nil || old.Provider(poolkeeper.Ref{Type: "t", ID: "b"}) == nil || b.ID != "c" {
			return fmt.Errorf("the old id no longer leads to the new one: %v", err)
		}
	}
	// The files say the same.
	if err := s.Flush(ctx); err != nil {
		return err
	}
	there, _, err := configdir.ReadDir(ctx, dir, nil)
	if err != nil {
		return err
	}
	c, err := configdir.CompareSnapshots(there, snap, nil)
	if err != nil {
		return err
	}
	return c.Err()
}

// lines tells on a pipe, which outlives the process.
type lines struct{ io.Writer }

func (l lines) try(what, value string) { fmt.Fprintf(l, "try %s %s\n", what, value) }
func (l lines) ack(what, value string) { fmt.Fprintf(l, "ack %s %s\n", what, value) }
func (lines) over() bool               { return false }
func (l lines) failed(what, value string, err error) {
	fmt.Fprintf(l, "fail %s %s %v\n", what, value, err)
}

func withPlan(plan *faultfs.Plan) func(string) (vfs.FS, error) {
	return func(dir string) (vfs.FS, error) {
		inner, err := vfs.Open(dir)
		if err != nil {
			return nil, err
		}
		return faultfs.New(inner, plan), nil
	}
}

// countCalls counts the calls of the scenario that change something.
func countCalls(t *testing.T) int {
	t.Helper()
	plan, l, dir := &faultfs.Plan{}, newLedger(), scenarioDir(t)
	scenario(dir, withPlan(plan), l)
	if len(l.errors) > 0 {
		t.Fatal(l.errors)
	}
	if err := l.check(dir, nil); err != nil {
		t.Fatal(err)
	}
	return plan.Count()
}

// TestChild is the process that is killed.
func TestChild(t *testing.T) {
	dir := os.Getenv("POOLKEEPER_TEST_CHILD")
	if dir == "" {
		return
	}
	at, _ := strconv.Atoi(os.Getenv("POOLKEEPER_TEST_AT"))
	fault, _ := strconv.Atoi(os.Getenv("POOLKEEPER_TEST_FAULT"))
	scenario(dir, withPlan(&faultfs.Plan{At: at, Fault: faultfs.Fault(fault)}), lines{os.NewFile(3, "pipe")})
	os.Exit(0)
}

// eachCall is which of the calls of a scenario are to go wrong: all of them, or
// where POOLKEEPER_CRASH_EVERY is a number every so manieth, from one by chance on.
func eachCall(t *testing.T, total int) iter.Seq[int] {
	t.Helper()
	every, first := 1, 1
	if text := os.Getenv("POOLKEEPER_CRASH_EVERY"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("POOLKEEPER_CRASH_EVERY is %q, which is no number above 0", text)
		}
		every, first = n, 1+rand.IntN(n)
	}
	t.Logf("%d calls, every %d from call %d on", total, every, first)
	return func(yield func(int) bool) {
		for at := first; at <= total; at += every {
			if !yield(at) {
				return
			}
		}
	}
}

// TestKilledAtEachCall kills the process at each call that changes something in
// a file system, a write also half way through it.
func TestKilledAtEachCall(t *testing.T) {
	t.Parallel()
	total := countCalls(t)
	type job struct {
		at    int
		fault faultfs.Fault
	}
	jobs := make(chan job)
	var wg sync.WaitGroup
	killed, want := 0, 0
	var mu sync.Mutex
	for range max(2, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for j := range jobs {
				dir := scenarioDir(t)
				l, err := runChild(dir, j.at, j.fault)
				if err == nil {
					err = l.check(dir, nil)
				}
				mu.Lock()
				killed++
				mu.Unlock()
				if err != nil {
					t.Errorf("killed at call %d of %d (fault %d): %v", j.at, total, j.fault, err)
				}
			}
		})
	}
	for at := range eachCall(t, total) {
		jobs <- job{at, faultfs.Kill}
		if want++; want%3 == 0 {
			jobs <- job{at, faultfs.Tear}
		}
	}
	close(jobs)
	wg.Wait()
	if killed < max(want, 1) {
		t.Errorf("only %d processes were killed", killed)
	}
}

// runChild runs the scenario in a process that is killed, and reads what it told.
func runChild(dir string, at int, fault faultfs.Fault) (*ledger, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), "POOLKEEPER_TEST_CHILD="+dir, "POOLKEEPER_TEST_AT="+strconv.Itoa(at), "POOLKEEPER_TEST_FAULT="+strconv.Itoa(int(fault)))
	cmd.ExtraFiles = []*os.File{w}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	w.Close()
	l := newLedger()
	for lines := bufio.NewScanner(r); lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		what, value, _ := strings.Cut(rest, " ")
		switch word {
		case "try":
			l.try(what, value)
		case "ack":
			l.ack(what, value)
		default:
			return nil, fmt.Errorf("before it was killed: %s", rest)
		}
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
			return l, nil
		}
	}
	return nil, fmt.Errorf("the process was not killed: %v", err)
}

// TestFaultAtEachCall makes each call fail once, as on a full disk or on a bad
// one: the caller is told, nothing that was acknowledged is lost, and the store
// goes on.
func TestFaultAtEachCall(t *testing.T) {
	total := countCalls(t)
	for name, fault := range map[string]faultfs.Fault{"full": faultfs.Full, "fail": faultfs.Fail} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for at := range eachCall(t, total) {
				dir, l := scenarioDir(t), newLedger()
				scenario(dir, withPlan(&faultfs.Plan{At: at, Fault: fault}), l)
				for _, err := range l.errors {
					if !errors.Is(err, poolkeeper.ErrUnavailable) && !errors.Is(err, poolkeeper.ErrIndeterminate) {
						t.Errorf("call %d: the error is of no class: %v", at, err)
					}
				}
				if err := l.check(dir, nil); err != nil {
					t.Errorf("call %d of %d: %v; errors %v", at, total, err, l.errors)
				}
				if len(l.errors) > 3 { // one call fails, and it goes on
					t.Errorf("call %d: %d errors: %v", at, len(l.errors), l.errors)
				}
			}
		})
	}
}

// TestFullDisk has a disk that stays full, or whose syncs fail from then on.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	total := countCalls(t)
	for _, on := range []string{"write", "sync", "syncdir", "create", "rename"} {
		for at := 1; at <= total; at += 11 {
			dir, l := scenarioDir(t), newLedger()
			scenario(dir, withPlan(&faultfs.Plan{At: at, On: on, Fault: faultfs.Full}), l)
			if err := l.check(dir, nil); err != nil {
				t.Errorf("%s from call %d on: %v; errors %v", on, at, err, l.errors)
			}
		}
	}
}

// TestPowerCut cuts the power at each call: of the state directory and the
// journal all is lost that was not synced, or some of it has reached the disk.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	total := countCalls(t)
	for at := range eachCall(t, total) {
		dir, l := scenarioDir(t), newLedger()
		state, log := faultfs.NewMemory(), faultfs.NewMemory()
		inner := func(path string) (vfs.FS, error) {
			switch filepath.Base(path) {
			case ".poolkeeper":
				return state, nil
			case "journal":
				return log, nil
			}
			return vfs.Open(path)
		}
		plan := &faultfs.Plan{At: at, Fault: faultfs.Fault(int(faultfs.Tear) + at%2), Die: func() { l.dead.Store(true) }}
		scenario(dir, func(path string) (vfs.FS, error) {
			fsys, err := inner(path)
			return faultfs.New(fsys, plan), err
		}, l)
		keep := func(_ string, synced, written []byte) []byte {
			if len(written) <= len(synced) || r.IntN(2) == 0 {
				return synced
			}
			return written[:len(synced)+r.IntN(len(written)-len(synced)+1)]
		}
		state.CutPower(keep)
		log.CutPower(keep)
		if err := l.check(dir, &filestore.Options{OpenFS: inner}); err != nil {
			t.Errorf("power cut at call %d of %d: %v", at, total, err)
		}
	}
}

// TestRestoreCutOff kills a Restore at each call: the store is not initialised
// and says that something is unfinished, or it has all of it; and another Restore
// leaves nothing of the first one.
func TestRestoreCutOff(t *testing.T) {
	snapshot := func(token, file string) *poolkeeper.Snapshot {
		snap := poolkeeper.NewSnapshot()
		snap.AddPool(&poolkeeper.Pool{Type: "t", Providers: []poolkeeper.Provider{{
			Ref: poolkeeper.Ref{Type: "t", ID: "a"}, Definition: []byte(`{"uuid":"a","X_TOKEN_FILE_PATH":"configs/` + file + `"}`)}}})
		snap.Values[poolkeeper.ConfigKey] = poolkeeper.Document{Data: []byte(`{}`)}
		snap.Values[poolkeeper.TokenKey(poolkeeper.Ref{Type: "t", ID: "a"})] = poolkeeper.Document{Data: []byte(token)}
		snap.Values[poolkeeper.TokenRefKey("configs/"+file)] = poolkeeper.Document{Data: poolkeeper.EncodeTokenOwner(poolkeeper.Ref{Type: "t", ID: "a"})}
		return snap
	}
	ctx := context.Background()
	unfinished := 0
	for at := 1; ; at++ {
		dir := filepath.Join(quickDir(t), "configs")
		died := false
		plan := &faultfs.Plan{At: at, Fault: faultfs.Kill, Die: func() { died = true }}
		s, err := filestore.Open(ctx, dir, &filestore.Options{OpenFS: withPlan(plan)})
		if err != nil {
			t.Fatal(err)
		}
		err = s.Restore(ctx, snapshot("one", "x/one.json"))
		s.Close()
		if !died {
			if err != nil || unfinished == 0 {
				t.Errorf("%v; %d were unfinished", err, unfinished)
			}
			return
		}
		if s, err = filestore.Open(ctx, dir, nil); err != nil {
			t.Fatalf("call %d: %v", at, err)
		}
		info, err := s.Info(ctx)
		if err != nil {
			t.Fatal(err)
		}
		want := snapshot("one", "x/one.json")
		if !info.Ready {
			if info.Importing {
				unfinished++
			} else if left, _ := filepath.Glob(filepath.Join(dir, "*.json")); len(left) > 0 {
				t.Errorf("call %d: %s are left, and nothing says that they are unfinished", at, left)
			}
			want = snapshot("two", "y/two.json")
			if err := s.Restore(ctx, want); err != nil {
				t.Errorf("call %d: %v", at, err)
			}
			if _, err := os.Stat(filepath.Join(dir, "x/one.json")); err == nil {
				t.Errorf("call %d: a file of the first one is left", at)
			}
		}
		there, _, err := configdir.ReadDir(ctx, dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := configdir.CompareSnapshots(there, want, nil); err != nil || !c.Equal() {
			t.Errorf("call %d: %v, %v", at, c, err)
		}
		s.Close()
	}
}
