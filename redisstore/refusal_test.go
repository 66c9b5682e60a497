package redisstore_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

// writes are ops that each write by another script, or otherwise.
func writes() []poolkeeper.Op {
	return []poolkeeper.Op{useOp("a", 1), errorOp("b"), defineOp(poolkeeper.OpAddProvider, "d", ""), poolOp(poolkeeper.OpDeleteProvider, "c"),
		{Kind: poolkeeper.OpRenameProvider, Key: kiro, ID: "c", NewID: "cc"}, replaceOp("a", "x"), {Kind: poolkeeper.OpDeletePool, Key: kiro},
		putOp(poolkeeper.PasswordKey, "p"), patchOp(poolkeeper.ConfigKey, `{"b":1}`), putOp(poolkeeper.FileKey("configs/f"), "x")}
}

func TestCredentialsRefused(t *testing.T) {
	srv := redistest.Start(t, redistest.WithPassword("s3cret"), redistest.WithACL("reader on >s3cret ~t:* resetchannels +@read +info"))
	r := rigOn(t, srv)
	plain := "unix://" + srv.Socket()
	for _, at := range []string{plain, withUser(t, plain, "", "wr0ng"), withUser(t, plain, "nobody", "s3cret")} {
		b, err := redisstore.Open(t.Context(), at, &redisstore.Options{Prefix: rigPrefix})
		if err == nil {
			b.Close()
		}
		if !errors.Is(err, poolkeeper.ErrForbidden) || poolkeeper.HintOf(err) == "" {
			t.Errorf("error %v, want ErrForbidden with a hint", err)
		} else if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "wr0ng") {
			t.Errorf("a password is in the error: %v", err)
		}
	}
	// One who may only read.
	b := r.open(withUser(t, plain, "reader", "s3cret"))
	r.unchanged("a user who may only read", func() {
		for _, op := range writes() {
			r.refused(b, op, poolkeeper.ErrForbidden)
		}
	})
	if info, err := b.Info(t.Context()); err != nil || strings.Contains(fmt.Sprintf("%+v", info), "s3cret") {
		t.Errorf("Info: %+v, %v", info, err)
	}
}

// Each refusal of a server that would take a write later, or elsewhere, is an
// outage: surely not applied.
func TestServerRefusesWrites(t *testing.T) {
	for _, c := range []struct {
		name  string
		opts  []redistest.Option
		begin func(r *rig)
		deny  func(op poolkeeper.Op) bool
	}{
		{name: "OOM", begin: func(r *rig) { r.srv.ConfigSet("maxmemory", "1") },
			// Redis lets a script go on that begins by removing something.
			deny: func(op poolkeeper.Op) bool {
				return !slices.Contains([]poolkeeper.OpKind{poolkeeper.OpAddProvider, poolkeeper.OpDeleteProvider, poolkeeper.OpRenameProvider, poolkeeper.OpDeletePool}, op.Kind)
			}},
		{name: "NOREPLICAS", begin: func(r *rig) { r.srv.ConfigSet("min-replicas-to-write", "1") }},
		{name: "READONLY", begin: func(r *rig) { r.srv.DoString("REPLICAOF", "127.0.0.1", "1") }},
		{name: "MISCONF", opts: []redistest.Option{redistest.WithConfig("save", "3600 1"), redistest.WithConfig("enable-protected-configs", "yes")}, begin: func(r *rig) {
			r.srv.ConfigSet("dbfilename", strings.Repeat("n", 300)) // no file system has such a name
			r.srv.Do("BGSAVE")
			for range 200 {
				if r.srv.Info("persistence")["rdb_last_bgsave_status"] == "err" {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			r.Fatal("the background save did not fail")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, c.opts...)
			// Each command has its answer, however busy the machine is.
			b := r.open(r.srv.SocketURL(), impatient, func(o *redisstore.Options) { o.CommandTimeout = 10 * time.Second })
			c.begin(r)
			ops := writes()
			if c.deny != nil {
				ops = slices.DeleteFunc(ops, func(op poolkeeper.Op) bool { return !c.deny(op) })
			}
			r.unchanged(c.name, func() {
				for _, op := range ops {
					began := time.Now()
					res := r.try(b, op)
					if !errors.Is(res.Err, poolkeeper.ErrUnavailable) {
						t.Errorf("%s: error %v, want ErrUnavailable", op.Kind, res.Err)
					} else if !strings.Contains(res.Err.Error(), c.name) {
						t.Errorf("%s: the error does not name %s: %v", op.Kind, c.name, res.Err)
					}
					if d := time.Since(began); d < 200*time.Millisecond {
						t.Errorf("%s was tried for %v only", op.Kind, d)
					}
				}
			})
			// Out of memory, Redis refuses the transactions of reads as well.
			if _, err := b.Load(t.Context(), poolkeeper.ConfigKey); err != nil {
				t.Errorf("Load: %v", err)
			}
		})
	}
}

// While a server loads its data it answers nothing else.
func TestServerIsLoading(t *testing.T) {
	t.Parallel()
	r := newRig(t, redistest.WithConfig("key-load-delay", "0"), redistest.WithConfig("loading-process-events-interval-bytes", "1024"), redistest.WithConfig("rdbcompression", "no"))
	for i := range 200 {
		r.srv.DoString("SET", fmt.Sprint("filler", i), strings.Repeat("x", 2000))
	}
	b := r.open(r.srv.SocketURL(), impatient)
	r.must(b, useOp("b", 1))
	r.srv.DoString("SAVE")
	r.srv.ConfigSet("key-load-delay", "10000") // 2 s for all of them
	r.srv.DoString("CONFIG", "REWRITE")
	restarted := make(chan struct{})
	go func() {
		defer close(restarted)
		r.srv.Restart()
	}()
	sawLoading := false
	for i, loading := 0, true; loading; i++ {
		select {
		case <-restarted:
			loading = false
		default:
			// Keys of their own, as ops on one queue behind each other.
			res := r.try(b, putOp(poolkeeper.DocumentKey(fmt.Sprint(i)), "1"))
			switch {
			case res.Err == nil:
			case errors.Is(res.Err, poolkeeper.ErrIndeterminate): // the connection that the restart broke
			case !errors.Is(res.Err, poolkeeper.ErrUnavailable):
				t.Errorf("error %v, want ErrUnavailable", res.Err)
			case strings.Contains(res.Err.Error(), "LOADING"):
				sawLoading = true
			}
		}
	}
	<-restarted
	if !sawLoading {
		t.Error("the server was not seen loading")
	}
}

// A key of another type than Poolkeeper gave it is damage, and no op makes it
// worse.
func TestWrongType(t *testing.T) {
	for _, key := range []string{rigPool, "t:state:{" + rigPool + "}", "t:order:{" + rigPool + "}", "t:ctl:{" + rigPool + "}"} {
		for _, make := range [][]string{{"SET", key, "x"}, {"RPUSH", key, "x"}} {
			t.Run(key+" "+make[0], func(t *testing.T) {
				r := newRig(t)
				r.must(r.b, useOp("a", 1))
				r.must(r.b, errorOp("b"))
				r.srv.DoInt("DEL", key)
				if _, err := r.srv.Do(make...); err != nil {
					t.Fatal(err)
				}
				for _, op := range []poolkeeper.Op{useOp("a", 1), useOp("c", 1), errorOp("b"), errorOp("c"), defineOp(poolkeeper.OpAddProvider, "d", ""),
					defineOp(poolkeeper.OpPutProvider, "a", `,"y":1`), poolOp(poolkeeper.OpDeleteProvider, "c"),
					{Kind: poolkeeper.OpRenameProvider, Key: kiro, ID: "c", NewID: "cc"}, replaceOp("a", "x")} {
					if op.IsRuntime() && (key == rigPool || strings.HasPrefix(key, "t:order:")) {
						continue // what it changes is sound
					}
					r.unchanged(string(op.Kind), func() { r.refused(r.b, op, poolkeeper.ErrDamaged) })
				}
				if _, err := r.b.Load(t.Context()); !errors.Is(err, poolkeeper.ErrDamaged) {
					t.Errorf("Load: error %v, want ErrDamaged", err)
				}
			})
		}
	}
	for _, key := range []string{"t:config", "t:ctl:{t:config}", "t:files", "t:pool-order"} {
		t.Run(key, func(t *testing.T) {
			r := newRig(t)
			r.srv.DoInt("DEL", key)
			r.srv.DoInt("ZADD", key, "1", "x")
			r.unchanged("an op on a damaged key", func() {
				op := map[string]poolkeeper.Op{
					"t:config": patchOp(poolkeeper.ConfigKey, `{"b":1}`), "t:ctl:{t:config}": patchOp(poolkeeper.ConfigKey, `{"b":1}`),
					"t:files":      putOp(poolkeeper.FileKey("configs/f"), "x"),
					"t:pool-order": {Kind: poolkeeper.OpReorderTypes, Key: poolkeeper.TypesKey, Order: []string{"kiro"}}}[key]
				r.refused(r.b, op, poolkeeper.ErrDamaged)
			})
		})
	}
}

// Where publications are refused, nothing that was done is taken for undone:
// the op is answered, once, by what it did.
func TestUserMayNotPublish(t *testing.T) {
	srv := redistest.Start(t, redistest.WithACL("mute on >pw ~* resetchannels +@all"))
	r := rigOn(t, srv)
	b := r.open(withUser(t, srv.SocketURL(), "mute", "pw"))
	for i := range 3 {
		if res := r.must(b, useOp("b", 1)); res.Count != int64(i+1) {
			t.Errorf("usageCount %d, want %d", res.Count, i+1)
		}
	}
	if got := r.usageOf("b"); got != "3" {
		t.Errorf("usageCount %s, want 3", got)
	}
	info, err := b.Info(t.Context())
	if err != nil || !strings.Contains(strings.Join(info.Warnings, " "), "publish") {
		t.Errorf("no warning: %+v, %v", info, err)
	}
}
