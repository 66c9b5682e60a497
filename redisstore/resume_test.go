package redisstore_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

// A frozen request that is too old is not sent: Redis may have forgotten its
// sequence.
func TestResumeTooLate(t *testing.T) {
	r, s := newRig(t), newSpool(t)
	f := r.stuck(s, useOp("b", 10))
	now := time.Now().Add(16 * 24 * time.Hour)
	b := r.open(r.srv.SocketURL(), s.option, func(o *redisstore.Options) { o.Now = func() time.Time { return now } })
	r.unchanged("a request of 16 days ago", func() {
		if err := b.Resume(f); err != nil {
			t.Fatal(err)
		}
		s.empty(t)
	})
	if res, _ := s.result(f.Ops[0].Entry); !errors.Is(res.Err, poolkeeper.ErrLost) {
		t.Errorf("the spool was told %+v", res)
	}
}

// A request that must have been executed, and whose results are gone, is not
// sent on: nobody can tell what became of each of its ops.
func TestResumeAfterLaterOnes(t *testing.T) {
	r, s := newRig(t), newSpool(t)
	f := r.stuck(s, useOp("b", 10))
	ctl := "t:ctl:{" + rigPool + "}"
	for _, writer := range writersOf(r) {
		_, rest, _ := strings.Cut(r.srv.DoString("HGET", ctl, "w:"+writer), " ")
		r.srv.DoInt("HSET", ctl, "w:"+writer, "9 "+rest)
	}
	b := r.open(r.srv.SocketURL(), s.option)
	r.unchanged("a request of before", func() {
		if err := b.Resume(f); err != nil {
			t.Fatal(err)
		}
		s.empty(t)
	})
	if res, _ := s.result(f.Ops[0].Entry); !errors.Is(res.Err, poolkeeper.ErrIndeterminate) {
		t.Errorf("the spool was told %+v", res)
	}
}

// stuck freezes a request that was not executed, and gives up its store.
func (r *rig) stuck(s *fileSpool, ops ...poolkeeper.Op) *poolkeeper.Frozen {
	r.Helper()
	proxy, b := r.proxied(soon, s.option)
	r.must(b, useOp("b", 1))
	proxy.CutBeforeRequest(1_000_000, "EVALSHA", "EVAL")
	var wg sync.WaitGroup
	for _, op := range ops {
		wg.Go(func() { b.Apply(r.Context(), op) })
	}
	wg.Wait()
	b.Close()
	_, frozen := s.left()
	if len(frozen) != 1 {
		r.Fatalf("%d requests are frozen, want 1", len(frozen))
	}
	return frozen[0]
}

// The next process sends a frozen request again as the last one left it, by the
// script that it was frozen with, before anything else of the key.
func TestResume(t *testing.T) {
	r, s := newRig(t), newSpool(t)
	f := r.stuck(s, useOp("b", 10))
	r.must(r.b, useOp("b", 100)) // another instance meanwhile
	// The script of an earlier version may be another one.
	f.Program = append(f.Program, "\n-- of an earlier version\n"...)
	f.ProgramName = sha1Hex(f.Program)
	for range 2 { // the second time as if its outcome had not been noted
		b := r.open(r.srv.SocketURL(), soon, s.option)
		if err := b.Resume(f); err != nil {
			t.Fatal(err)
		}
		r.refused(b, useOp("b", 1000), poolkeeper.ErrUnavailable)
		s.empty(t)
		if got := r.usageOf("b"); got != "111" {
			t.Errorf("the counter is %s, want 111", got)
		}
		b.Close()
		s.frozen[f.Number] = f
	}
	for name, spoil := range map[string]func(*poolkeeper.Frozen){
		"another program": func(f *poolkeeper.Frozen) { f.Program = []byte("return 1") },
		"a cut request":   func(f *poolkeeper.Frozen) { f.Request = f.Request[:len(f.Request)-1] },
		"a later form":    func(f *poolkeeper.Frozen) { f.Request = append([]byte{9}, f.Request[1:]...) },
	} {
		bad := *f
		spoil(&bad)
		b := r.open(r.srv.SocketURL(), soon, s.option)
		r.unchanged(name, func() {
			if err := b.Resume(&bad); !errors.Is(err, poolkeeper.ErrDamaged) {
				t.Errorf("%s: %v", name, err)
			}
		})
		b.Close()
	}
}

// Frozen requests of every kind are resumed, whether they were executed or not.
func TestResumeEveryKind(t *testing.T) {
	keyed := useOp("b", 5)
	keyed.IdempotencyKey = "k"
	ops := map[string]poolkeeper.Op{
		"usage": useOp("b", 5), "first usage": useOp("a", 5), "keyed": keyed, "error": errorOp("b"),
		"add":    defineOp(poolkeeper.OpAddProvider, "new", ""),
		"patch":  {Kind: poolkeeper.OpPatchProvider, Key: kiro, ID: "c", Patch: poolkeeper.MergePatch, Data: []byte(`{"y":2}`), At: rigAt},
		"delete": poolOp(poolkeeper.OpDeleteProvider, "b"),
		"config": patchOp(poolkeeper.ConfigKey, `{"n":1}`),
		"put":    putOp(poolkeeper.DocumentKey("d.json"), `{"n":1}`),
	}
	for name, op := range ops {
		for _, executed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/executed=%t", name, executed), func(t *testing.T) {
				t.Parallel()
				plain := newRig(t)
				plain.must(plain.b, useOp("b", 1))
				plain.must(plain.b, op)
				want := plain.load()

				r, s := newRig(t), newSpool(t)
				tap := startTap(t, r.srv.Socket())
				b := r.open(tap.url(), s.option)
				r.must(b, useOp("b", 1))
				info, err := b.Info(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				cut := redistest.FaultCutBefore
				if executed {
					cut = redistest.FaultCutAfter
				}
				tap.arm(cut, -1, info.Writer)
				if res := b.Apply(t.Context(), op)[0]; res.Status != poolkeeper.Queued {
					t.Fatalf("%+v", res)
				}
				b.Close()
				next := r.open(r.srv.SocketURL(), s.option)
				_, frozen := s.left()
				for _, f := range frozen {
					if err := next.Resume(f); err != nil {
						t.Fatal(err)
					}
				}
				eventually(t, "the request is settled", func() bool { _, frozen := s.left(); return len(frozen) == 0 })
				ops, _ := s.left()
				for _, res := range next.Replay(t.Context(), ops) {
					if res.Err != nil {
						t.Errorf("replay: %v", res.Err)
					}
				}
				if got := r.load(); got != want {
					t.Errorf("the store is\n%s\nwant\n%s", got, want)
				}
			})
		}
	}
}
