package open_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/open"
	"github.com/poolkeeper/poolkeeper/replica/snapshot"
)

const prompt = "configs/prompt.txt"

// snapshotHas waits until the snapshot of an epoch has a carried file.
func (o *outage) snapshotHas(text, epoch string) {
	o.Helper()
	dir := filepath.Dir(filepath.Dir(open.FallbackDir(o.set)))
	o.until("a snapshot with "+text, func() bool {
		snap, err := snapshot.Files(o.Context(), dir)
		if err != nil || string(snap.Values[poolkeeper.FileKey(prompt)].Data) != text {
			return false
		}
		_, m, err := snapshot.Load(o.Context(), dir)
		return err == nil && m.Epoch == epoch
	})
}

func (o *outage) epoch(st *poolkeeper.Store) string {
	o.Helper()
	info, err := st.Info(o.Context())
	if err != nil {
		o.Fatal(err)
	}
	return info.Epoch
}

// TestRecoverTwiceKeepsFiles: a store that was put back has its carried files in the
// next snapshot, from which they are put back once more.
func TestRecoverTwiceKeepsFiles(t *testing.T) {
	o := newOutage(t)
	o.filled()
	ctx := t.Context()
	st := o.open()
	o.status(st.PutFile(ctx, prompt, []byte("carried"), poolkeeper.Always))
	for range 3 {
		o.mode(st, poolkeeper.ModeOnline)
		o.snapshotHas("carried", o.epoch(o.direct()))
		o.srv.FlushAll()
		o.until("a write is queued", func() bool { return o.status(st.Usage(ctx, one, 1)) == poolkeeper.Queued })
		o.mode(st, poolkeeper.ModeLost)
		done, err := st.Backend().(poolkeeper.Recoverer).Recover(ctx, false)
		if err != nil || done.Files != 1 || done.Problem != "" {
			t.Fatalf("%+v, %v", done, err)
		}
		if d, err := o.direct().File(ctx, prompt); err != nil || string(d.Data) != "carried" {
			t.Fatalf("put back: %q, %v", d.Data, err)
		}
	}
}

// TestFileChangedUnheard: a carried file that was changed while changes were not told
// is in the snapshot once they are again.
func TestFileChangedUnheard(t *testing.T) {
	o := newOutage(t)
	proxy := redistest.StartProxy(t, o.srv.Addr())
	o.filled()
	ctx := t.Context()
	direct := o.direct()
	o.status(direct.PutFile(ctx, prompt, []byte("one"), poolkeeper.Always))
	behind := &outage{T: t, srv: o.srv}
	behind.set = resolve(t, map[string]string{"REDIS_URL": proxy.URL(), "REDIS_COMMAND_TIMEOUT": "500", "REDIS_CONNECT_TIMEOUT": "500", "POOLKEEPER_FALLBACK_AFTER": "1s"})
	st := behind.open()
	behind.mode(st, poolkeeper.ModeOnline)
	epoch := o.epoch(direct)
	behind.snapshotHas("one", epoch)
	proxy.Down()
	behind.until("the outage", func() bool {
		_, err := st.File(poolkeeper.ReadCurrent(ctx), prompt)
		return errors.Is(err, poolkeeper.ErrUnavailable)
	})
	o.status(direct.PutFile(ctx, prompt, []byte("two"), poolkeeper.Always))
	proxy.Up()
	behind.mode(st, poolkeeper.ModeOnline)
	behind.snapshotHas("two", epoch)
}
