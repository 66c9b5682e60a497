package transfer_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/transfer"
)

// fillExtras puts one of everything into a store that typical does not have.
func fillExtras(t *testing.T, st *poolkeeper.Store) (want []string) {
	ctx := context.Background()
	snap := snapshot(t, st)
	first := snap.Types[0]
	must(st.AddProvider(ctx, first, []byte(`{"uuid":"extra"}`)))
	must(st.AddProvider(ctx, "mine", []byte(`{"uuid":"m","KIRO_OAUTH_CREDS_FILE_PATH":"configs/kiro/m.json"}`)))
	must(st.PutToken(ctx, poolkeeper.Ref{Type: "mine", ID: "m"}, []byte(`{"n":1}`), poolkeeper.Always))
	must(st.PutDocument(ctx, "mine.json", []byte(`1`), poolkeeper.Always))
	must(st.PutFile(ctx, "configs/mine.txt", []byte("1"), poolkeeper.Always))
	must(st.PutSession(ctx, "bearer", []byte(`{"n":1}`), time.Now().Add(time.Hour)))
	return []string{
		poolkeeper.Ref{Type: first, ID: "extra"}.String(), "mine m", "pool mine", "token-refs configs/kiro/m.json", "token mine m",
		"file configs/mine.txt", "document mine.json", "session " + poolkeeper.SessionName("bearer"),
	}
}

func TestMirror(t *testing.T) {
	ctx := context.Background()
	dir := dirtest.Configs("typical")
	st := imported(t, dir)
	want := fillExtras(t, st)

	// Without it, nothing is removed, and nothing listed as such.
	if res := mustImport(t, st, dir, &transfer.ImportOptions{Force: true}); len(res.Removed) != 0 {
		t.Errorf("removed %v", res.Removed)
	}
	if snapshot(t, st).Provider(poolkeeper.Ref{Type: "mine", ID: "m"}) == nil {
		t.Error("a provider is gone")
	}

	before := snapshot(t, st)
	dry := mustImport(t, st, dir, &transfer.ImportOptions{Mirror: true, DryRun: true})
	if _, err := transfer.Verify(ctx, st, dir, nil); !errors.Is(err, poolkeeper.ErrDiffers) || len(snapshot(t, st).Values) != len(before.Values) {
		t.Fatalf("a dry run removed something: %v", err)
	}
	var planned *transfer.ImportResult
	res := mustImport(t, st, dir, &transfer.ImportOptions{Mirror: true, Plan: func(r *transfer.ImportResult) error {
		if len(snapshot(t, st).Values) != len(before.Values) {
			t.Error("something was written before the plan was told")
		}
		planned = r
		return nil
	}})
	for _, got := range []*transfer.ImportResult{dry, planned, res} {
		if !slices.Equal(lines(got.Removed), want) || len(got.Added) != 0 {
			t.Errorf("removed %q, want %q; added %v", lines(got.Removed), want, got.Added)
		}
	}
	if c, err := transfer.Verify(ctx, st, dir, nil); err != nil {
		t.Errorf("the mirror differs: %v", c.Differences)
	}
	if again := mustImport(t, st, dir, &transfer.ImportOptions{Mirror: true}); again.Changes() != 0 {
		t.Errorf("again: %v %v %v", again.Added, again.Changed, again.Removed)
	}
}

// TestMirrorEmptyDirectory leaves nothing.
func TestMirrorEmptyDirectory(t *testing.T) {
	st := imported(t, dirtest.Configs("edge"))
	dir := dirtest.WriteTree(t, map[string]string{"configs/provider_pools.json": "{}"})
	mustImport(t, st, dir, &transfer.ImportOptions{Mirror: true})
	if snap := snapshot(t, st); len(snap.Values) != 0 || len(snap.Types) != 0 {
		t.Errorf("types %q, %d values", snap.Types, len(snap.Values))
	}
}

// TestMirrorKeeps is what Mirror removes only with Force: a newer token under
// the path that the directory has, and the provider that one was renamed to.
func TestMirrorKeeps(t *testing.T) {
	ctx := context.Background()
	one := poolkeeper.Ref{Type: "a", ID: "1"}
	dir := dirtest.WriteTree(t, map[string]string{"configs/provider_pools.json": live})
	st := imported(t, dir)
	must(st.Usage(ctx, one, 10))
	must(st.RenameProvider(ctx, one, "new", poolkeeper.Always))
	res := mustImport(t, st, dir, &transfer.ImportOptions{Mirror: true})
	if res.Changes() != 0 || len(res.Kept) != 1 {
		t.Errorf("changed %v, removed %v, kept %v", res.Changed, res.Removed, res.Kept)
	}
	if p := snapshot(t, st).Provider(poolkeeper.Ref{Type: "a", ID: "new"}); p == nil || p.Count(poolkeeper.UsageCount) != 15 {
		t.Errorf("%+v", p)
	}
	res = mustImport(t, st, dir, &transfer.ImportOptions{Mirror: true, Force: true})
	if !slices.Equal(lines(res.Removed), []string{"a new"}) {
		t.Errorf("removed %v", res.Removed)
	}
	if _, err := transfer.Verify(ctx, st, dir, nil); err != nil {
		t.Error(err)
	}
}

// TestPlanIsWhatIsDone: a pool that somebody changes after the plan was made is
// not changed in another way than was said.
func TestPlanIsWhatIsDone(t *testing.T) {
	b := &interfering{Backend: memstore.New(nil)}
	st := poolkeeper.New(b, nil)
	mustImport(t, st, dirtest.WriteTree(t, map[string]string{"configs/provider_pools.json": live}), nil)
	b.left = 1
	dir := dirtest.WriteTree(t, map[string]string{"configs/provider_pools.json": `{"a":[{"uuid":"1"}],"b":[]}`})
	_, err := transfer.Import(context.Background(), st, dir, &transfer.ImportOptions{Mirror: true})
	if !errors.Is(err, poolkeeper.ErrConflict) {
		t.Fatalf("error %v, want ErrConflict", err)
	}
	if n := len(snapshot(t, st).Pools["a"].Providers); n != 3 {
		t.Errorf("%d providers, want 3", n)
	}
}

// TestPlanRefuses: what is told of the plan can stop it.
func TestPlanRefuses(t *testing.T) {
	no := errors.New("no")
	st := newStore(t)
	stop := &transfer.ImportOptions{Mirror: true, Plan: func(*transfer.ImportResult) error { return no }}
	if _, err := transfer.Import(context.Background(), st, dirtest.Configs("typical"), stop); !errors.Is(err, no) {
		t.Errorf("error %v", err)
	}
	if _, err := st.Snapshot(context.Background()); !errors.Is(err, poolkeeper.ErrUninitialized) {
		t.Errorf("something was written: %v", err)
	}
	mustImport(t, st, dirtest.Configs("typical"), nil)
	if _, err := transfer.Import(context.Background(), st, dirtest.Configs("edge"), stop); !errors.Is(err, no) {
		t.Errorf("error %v", err)
	}
	if _, err := transfer.Verify(context.Background(), st, dirtest.Configs("typical"), nil); err != nil {
		t.Error(err)
	}
}

// cutting ends the context after some calls of Apply.
type cutting struct {
	*memstore.Store
	left   int
	cancel context.CancelFunc
}

func (b *cutting) Apply(ctx context.Context, ops ...poolkeeper.Op) []poolkeeper.Result {
	if b.left--; b.left < 0 && b.cancel != nil {
		b.cancel()
	}
	return b.Store.Apply(ctx, ops...)
}

// TestImportIsMarked: an import into a store in use that is cut off shows, until
// one has ended.
func TestImportIsMarked(t *testing.T) {
	b := &cutting{Store: memstore.New(nil)}
	st := poolkeeper.New(b, nil)
	mustImport(t, st, dirtest.Configs("typical"), nil)
	marked := func() bool { return must(st.Info(context.Background())).Importing }
	if marked() {
		t.Error("marked after a whole import")
	}
	cuts := 0
	for n := 0; ; n++ {
		ctx, cancel := context.WithCancel(context.Background())
		b.left, b.cancel = n, cancel
		_, err := transfer.Import(ctx, st, dirtest.Configs("edge"), &transfer.ImportOptions{Mirror: true, Force: true})
		cancel()
		if err == nil || !errors.Is(err, context.Canceled) {
			if marked() {
				t.Error("marked after the end")
			}
			break
		}
		if !marked() && b.left < 0 {
			t.Errorf("not marked after %d calls", n)
		}
		cuts++
	}
	if cuts < 3 {
		t.Errorf("cut off %d times", cuts)
	}
	b.cancel = nil
	mustImport(t, st, dirtest.Configs("edge"), &transfer.ImportOptions{Mirror: true, Force: true})
	if marked() {
		t.Error("marked")
	}
	if _, err := transfer.Verify(context.Background(), st, dirtest.Configs("edge"), nil); err != nil {
		t.Error(err)
	}
}
