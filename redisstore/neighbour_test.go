package redisstore_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

// TestNeighbouringVersions writes meta as other versions would: one that only
// adds to the layout runs beside this one, whose writes leave its mark as it is;
// one that asks older ones not to write is read and not written to, whether the
// store is opened afterwards or was open before.
func TestNeighbouringVersions(t *testing.T) {
	for name, c := range map[string]struct {
		schema, minWriter string
		refused           bool
	}{
		"this one":                     {"1", "1", false},
		"the next, which adds":         {"2", "1", false},
		"one that says nothing":        {"1", "", false},
		"an older one":                 {"0", "0", false},
		"the next, which changes":      {"2", "2", true},
		"a far one":                    {"9", "3", true},
		"one of another numbering":     {"2", "2.0", true},
		"one that counts beyond Int64": {"2", "99999999999999999999", true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			before := r.open(r.srv.SocketURL()) // another process, opened before
			r.must(before, useOp("a", 1))
			r.srv.DoInt("HSET", "t:meta", "schema", c.schema, "minWriter", c.minWriter, "ofTheNext", "x")
			after := r.open(r.srv.SocketURL())
			for at, b := range map[string]*redisstore.Store{"before": before, "after": after} {
				info, err := b.Info(t.Context())
				if err != nil || info.Ready == c.refused || strings.Contains(info.Problem, "newer version") != c.refused {
					t.Errorf("opened %s: Info %+v, %v", at, info, err)
				}
				if _, err := b.Load(t.Context()); err != nil {
					t.Errorf("opened %s: it is not even read: %v", at, err)
				}
				if !c.refused {
					for _, op := range []poolkeeper.Op{useOp("a", 1), errorOp("b"), putOp(poolkeeper.ConfigKey, `{"b":1}`), replaceOp("a", "b")} {
						r.must(b, op)
					}
					continue
				}
				r.unchanged("opened "+at, func() {
					for _, op := range writes() {
						res := r.try(b, op)
						if !errors.Is(res.Err, poolkeeper.ErrForbidden) || !strings.Contains(res.Err.Error(), "newer version") || poolkeeper.HintOf(res.Err) == "" {
							t.Errorf("opened %s, %s: error %v", at, op.Kind, res.Err)
						}
					}
					if err := b.Restore(t.Context(), rigSnapshot()); err == nil {
						t.Errorf("opened %s: it was restored into", at)
					}
				})
			}
			if c.refused {
				return
			}
			if got := r.usageOf("a"); got != "8" {
				t.Errorf("usageCount %s, want 5 + 1 + 1 + 1", got)
			}
			for field, want := range map[string]string{"schema": c.schema, "minWriter": c.minWriter, "ofTheNext": "x"} {
				if got := r.srv.DoString("HGET", "t:meta", field); got != want {
					t.Errorf("%s of meta is %q, and was %q", field, got, want)
				}
			}
		})
	}
}

// TestEvictionPolicy: a policy by which keys may be dropped is warned of in the
// log when the store is opened, and in Info; where it may be any key, no store
// is begun, on no server of a Cluster, and nothing is written. One that is there
// is served: it must not be lost over a setting.
func TestEvictionPolicy(t *testing.T) {
	t.Parallel()
	for policy, refused := range map[string]bool{
		"noeviction": false, "volatile-lru": false, "volatile-ttl": false, "volatile-random": false,
		"allkeys-lru": true, "allkeys-lfu": true, "allkeys-random": true,
	} {
		t.Run(policy, func(t *testing.T) {
			r := newRig(t, redistest.WithConfig("maxmemory-policy", "noeviction"))
			r.srv.ConfigSet("maxmemory-policy", policy)
			var log strings.Builder
			logged := func(o *redisstore.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) }
			b := r.open(r.srv.SocketURL(), logged)
			if got := strings.Contains(log.String(), policy); got != (policy != "noeviction") {
				t.Errorf("the log has %q", log.String())
			}
			info, err := b.Info(t.Context())
			if err != nil || !info.Ready || strings.Contains(strings.Join(info.Warnings, " "), policy) != (policy != "noeviction") {
				t.Errorf("Info %+v, %v", info, err)
			}
			r.must(b, useOp("a", 1))
			other := r.open(r.srv.SocketURL(), func(o *redisstore.Options) { o.Prefix = "new:" })
			if !refused {
				if err := other.Restore(t.Context(), rigSnapshot()); err != nil {
					t.Error(err)
				}
				return
			}
			r.unchanged("a refused restore", func() {
				err := other.Restore(t.Context(), rigSnapshot())
				if !errors.Is(err, poolkeeper.ErrForbidden) || !strings.Contains(err.Error(), policy) || !strings.Contains(poolkeeper.HintOf(err), "noeviction") {
					t.Errorf("Restore: %v", err)
				}
			})
		})
	}
	t.Run("one of a Cluster", func(t *testing.T) {
		c := redistest.StartCluster(t, 3)
		b := openUser(t, c.URL(), rigPrefix)
		for range 2 { // whichever is asked first
			for _, node := range c.Nodes {
				node.ConfigSet("maxmemory-policy", "allkeys-lru")
				if err := b.Restore(t.Context(), rigSnapshot()); !errors.Is(err, poolkeeper.ErrForbidden) {
					t.Errorf("Restore: %v", err)
				}
				node.ConfigSet("maxmemory-policy", "noeviction")
			}
		}
		if keys := c.Keys("*"); len(keys) != 0 {
			t.Errorf("it wrote %v", keys)
		}
		if err := b.Restore(t.Context(), rigSnapshot()); err != nil {
			t.Error(err)
		}
	})
	t.Run("a foreign store where it lies", func(t *testing.T) {
		srv := redistest.Start(t)
		fill(t, srv, forkStore(t))
		b := openUser(t, srv.SocketURL(), "aiclient:")
		snap, _, err := b.LoadForeign(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		srv.ConfigSet("maxmemory-policy", "allkeys-lru")
		before := redistest.Hash(srv.Dump())
		if err := b.Adopt(t.Context(), snap); !errors.Is(err, poolkeeper.ErrForbidden) {
			t.Errorf("Adopt: %v", err)
		}
		if redistest.Hash(srv.Dump()) != before {
			t.Error("it was changed")
		}
	})
}
