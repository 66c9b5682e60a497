package snapshot_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
	"github.com/poolkeeper/poolkeeper/replica"
	"github.com/poolkeeper/poolkeeper/replica/snapshot"
	"github.com/poolkeeper/poolkeeper/transfer"
)

func onRedis(t *testing.T, srv *redistest.Server, prefix string) *redisstore.Store {
	t.Helper()
	b, err := redisstore.Open(t.Context(), srv.URL(), &redisstore.Options{Prefix: prefix, RetryFor: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestReplicaOfRedis: the replica of a Redis is kept on disk, also once the Redis is
// gone, with its carried files; a gateway finds there what it had, and an import into
// an empty Redis has the same content.
func TestReplicaOfRedis(t *testing.T) {
	srv := redistest.Start(t)
	src := filepath.Join("..", dirtest.Configs("edge"))
	r, err := replica.Open(t.Context(), onRedis(t, srv, "a:"), nil)
	if err != nil {
		t.Fatal(err)
	}
	st := poolkeeper.New(r, nil)
	defer st.Close()
	if _, err := transfer.Import(ctx, st, src, nil); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "snapshot")
	take, files := snapshot.From(r)
	k := snapshot.Keep(dir, take, &snapshot.KeeperOptions{Files: files, Watcher: r})
	defer k.Close()
	if err := k.Write(ctx); err != nil {
		t.Fatal(err)
	}
	whole := snapshotOf(t, st)
	srv.Stop()
	k.Continuous(true)
	if err := k.Write(ctx); err != nil {
		t.Fatal(err)
	}
	if s := k.State(); s.Problem != "" || s.Behind || s.Last.Files == 0 {
		t.Errorf("%+v", s)
	}
	got, m := load(t, dir)
	if len(m.Damage) > 0 {
		t.Errorf("damage: %v", m.Damage)
	}
	if d := cmp.Diff(encoded(t, whole), encoded(t, got)); d != "" {
		t.Errorf("what was loaded differs (-Redis +loaded):\n%s", d)
	}
	want, _ := dirtest.Gateway(t, filepath.Dir(src))
	found, _ := dirtest.Gateway(t, filepath.Dir(snapshot.ConfigDir(dir)))
	for where, text := range want {
		if found[where] != text {
			t.Errorf("a gateway finds other credentials at %s", where)
		}
	}
	carried := whole.KeysOf(poolkeeper.KindFile)
	if len(carried) == 0 {
		t.Error("there is no carried file")
	}
	for _, key := range carried {
		if data, ok := readFile(t, dir, key.Name); !ok || data != string(whole.Values[key].Data) {
			t.Errorf("the carried file %s is %q", key.Name, data)
		}
	}

	other := redistest.Start(t)
	back := poolkeeper.New(onRedis(t, other, "b:"), nil)
	defer back.Close()
	if _, err := transfer.Import(ctx, back, snapshot.ConfigDir(dir), nil); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{snapshot.ConfigDir(dir), src} {
		if c, err := transfer.Verify(context.Background(), back, d, nil); err != nil {
			t.Errorf("the new Redis differs from %s: %v, %+v", d, err, c)
		}
	}
}
