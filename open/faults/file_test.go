package faults_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// TestFaultsFileLost: redis-server is killed, and its append-only file is damaged or
// gone when it starts again.
func TestFaultsFileLost(t *testing.T) {
	t.Parallel()
	for what, lose := range map[string]func(*testing.T, *redistest.Server){
		// The disk has not kept all of it.
		"cut": func(t *testing.T, srv *redistest.Server) {
			file := incremental(t, srv.Dir())
			info, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(file, info.Size()*2/3); err != nil {
				t.Fatal(err)
			}
		},
		// It is begun anew from what was saved last, as the manual of Redis has it.
		"gone": func(t *testing.T, srv *redistest.Server) {
			removeAOF(t, srv)
			srv.Configure("appendonly", "no")
		},
	} {
		t.Run(what, func(t *testing.T) {
			seeds(t, func(t *testing.T, seed uint64) {
				srv := redistest.Start(t, redistest.WithAOF("always"), redistest.WithConfig("auto-aof-rewrite-percentage", "0"))
				fill(t, srv.SocketURL())
				proxy := redistest.StartProxy(t, srv.Socket())
				all := newCrowd(t, proxy.URL(), seed)
				times := 3
				if bounded() {
					times = 1
				}
				for range times {
					all.more(300)
					srv.DoString("SAVE")
					all.more(300)
					proxy.Down()
					before := sumOf(onServer(srv))
					srv.Kill()
					lose(t, srv)
					srv.Restart()
					if after := sumOf(onServer(srv)); after >= before || after == 0 {
						t.Errorf("%d were counted before, and %d are: want some, but not all", before, after)
					}
					proxy.Up()
					all.more(100)
					srv.ConfigSet("appendonly", "yes")
					until(t, "the append-only file is written", func() bool {
						info := srv.Info("persistence")
						return info["aof_enabled"] == "1" && info["aof_rewrite_in_progress"] == "0" && info["aof_rewrite_scheduled"] == "0"
					})
				}
				all.finish(onServer(srv))
				all.nothingLost()
			})
		})
	}
}

// incremental is the file that commands are appended to.
func incremental(t *testing.T, dir string) (file string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".incr.aof") {
			file = path
		}
		return err
	})
	if err != nil || file == "" {
		t.Fatalf("no append-only file in %s: %v", dir, err)
	}
	return file
}

func removeAOF(t *testing.T, srv *redistest.Server) {
	t.Helper()
	if err := os.RemoveAll(filepath.Dir(incremental(t, srv.Dir()))); err != nil {
		t.Fatal(err)
	}
}

// TestFaultsEmptied: redis-server starts again with nothing, as its append-only file is
// gone. It is not believed: nothing is written to it, reads go on, and writes are
// queued. When one instance has put back what it has, all of it is there, once, but for what was on its way
// when Redis ended: that is set aside.
func TestFaultsEmptied(t *testing.T) {
	t.Parallel()
	seeds(t, func(t *testing.T, seed uint64) {
		srv := redistest.Start(t, redistest.WithAOF("always"))
		fill(t, srv.SocketURL())
		all := newCrowd(t, srv.SocketURL(), seed)
		times := 3
		if bounded() {
			times = 1
		}
		for range times {
			all.more(300)
			srv.Kill()
			removeAOF(t, srv)
			srv.Restart()
			before := all.queued.Load()
			for _, st := range all.stores {
				mode(t, st, poolkeeper.ModeLost)
			}
			until(t, "ops are queued", func() bool { return all.queued.Load() >= before+100 })
			if n := srv.DoInt("DBSIZE"); n != 0 {
				t.Errorf("%d keys were written into the emptiness", n)
			}
			for _, st := range all.stores {
				if view, err := st.View(context.Background()); err != nil || view.Provider(refOf(0)) == nil {
					t.Errorf("the view: %v", err)
				}
			}
			done, err := all.stores[0].Backend().(poolkeeper.Recoverer).Recover(context.Background(), false)
			if err != nil || done.Providers != providerCount {
				t.Fatalf("%+v, %v", done, err)
			}
			for _, st := range all.stores {
				mode(t, st, poolkeeper.ModeOnline)
			}
			all.more(100)
		}
		all.finish(onServer(srv))
		// Of requests that had no answer when it ended nobody can know whether they
		// were in what was put back: they are set aside, by name.
		if all.lost != [poolCount]int64{} {
			t.Errorf("reported as lost, by pool: %v", all.lost)
		}
		t.Logf("set aside: %s", all.doubts)
	})
}

// mode waits until a store is in a mode.
func mode(t *testing.T, st *poolkeeper.Store, want poolkeeper.Mode) {
	t.Helper()
	until(t, string(want), func() bool {
		info, err := st.Info(context.Background())
		return err == nil && info.Mode == want
	})
}
