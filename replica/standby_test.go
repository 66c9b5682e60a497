package replica_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/replica"
	"github.com/poolkeeper/poolkeeper/storetest"
)

// TestStandby: a source that goes away before a copy of it was made leaves the standby
// to be read, unless that is known to be of another store; and when it is back the
// copy is the source's, whatever the standby had.
func TestStandby(t *testing.T) {
	for name, c := range map[string]struct {
		after time.Duration // of a first copy that takes 1.5 s or more
		epoch string        // of the standby, where it is not the source's
		none  bool
	}{
		"before anything was heard": {after: 100 * time.Millisecond},
		"in the midst of it":        {after: 700 * time.Millisecond},
		"the directory":             {after: 700 * time.Millisecond, epoch: "-"},
		"of another store":          {after: 700 * time.Millisecond, epoch: "other", none: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memstore.New(nil)
				if err := store.Restore(t.Context(), filled(10)); err != nil {
					t.Fatal(err)
				}
				direct := poolkeeper.New(store, nil)
				old, err := direct.Snapshot(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				ref := poolkeeper.Ref{Type: "gone", ID: "a"}
				old.AddPool(&poolkeeper.Pool{Type: ref.Type, Providers: []poolkeeper.Provider{{Ref: ref, Definition: []byte(`{"uuid":"a"}`)}}})
				switch c.epoch {
				case "":
				case "-":
					delete(old.Meta, "epoch")
				default:
					old.Meta["epoch"] = c.epoch
				}
				if _, err := direct.AddProvider(t.Context(), "new", []byte(`{"uuid":"n"}`)); err != nil {
					t.Fatal(err)
				}

				source := &faulty{Store: store, loading: time.Second}
				time.AfterFunc(c.after, source.cut)
				r, err := replica.Open(t.Context(), source, &replica.Options{Standby: func() *poolkeeper.Snapshot {
					time.Sleep(30 * time.Millisecond) // it is read from a disk
					return old
				}})
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				st := poolkeeper.New(r, nil)
				_, err = st.Provider(t.Context(), ref)
				if c.none != (err != nil) {
					t.Errorf("while it is away: %v", err)
				}
				if c.none != (r.View() == nil) {
					t.Errorf("while it is away the view is %v", r.View())
				}

				source.away.Store(false)
				for r.View() == nil || r.Measure(t.Context()).Copy.Age > 0 {
					time.Sleep(10 * time.Millisecond)
				}
				want, err := direct.Snapshot(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				got, err := st.Snapshot(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if d := storetest.Diff(want, got); d != "" {
					t.Errorf("after it was back:\n%s", d)
				}
			})
		})
	}
}

// TestCopyOfAnEmptiedStore: a store that was emptied just when it was heard again leaves
// the copy that of the one that it was: to be kept on the disk, and to be put back.
func TestCopyOfAnEmptiedStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New(nil)
		if err := store.Restore(t.Context(), filled(10)); err != nil {
			t.Fatal(err)
		}
		source := &faulty{Store: store}
		r, err := replica.Open(t.Context(), source, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		time.Sleep(time.Second)
		before := r.Base()
		if before == nil || before.Meta["epoch"] == "" {
			t.Fatalf("there is no copy: %+v", before)
		}
		source.cut()
		time.Sleep(time.Second)
		source.emptied.Store(true)
		source.away.Store(false)
		time.Sleep(10 * time.Second)
		after := r.Base()
		if after == nil || after.Meta["epoch"] != before.Meta["epoch"] || len(after.Pools) != len(before.Pools) {
			t.Fatalf("the copy is %+v", after)
		}
		source.emptied.Store(false)
		for r.Measure(t.Context()).Copy.Age > 0 {
			time.Sleep(10 * time.Millisecond)
		}
		want, err := poolkeeper.New(store, nil).Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got, err := poolkeeper.New(r, nil).Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if d := storetest.Diff(want, got); d != "" {
			t.Errorf("after it was back:\n%s", d)
		}
	})
}
