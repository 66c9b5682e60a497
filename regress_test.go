package poolkeeper_test

import (
	"context"
	"errors"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// An outage is a backend that is gone after the next op of a kind.
type outage struct {
	poolkeeper.Backend
	after poolkeeper.OpKind
	down  bool
}

func (o *outage) Apply(ctx context.Context, ops ...poolkeeper.Op) []poolkeeper.Result {
	results := make([]poolkeeper.Result, 0, len(ops))
	for i := range ops {
		if o.down {
			results = append(results, poolkeeper.Result{Err: poolkeeper.Errorf(poolkeeper.ErrUnavailable, "it is gone")})
			continue
		}
		results = append(results, o.Backend.Apply(ctx, ops[i])...)
		o.down = ops[i].Kind == o.after
	}
	return results
}

// storeWith returns a store in memory with providers of the type kiro.
func storeWith(t *testing.T, definitions ...string) (*poolkeeper.Store, *outage) {
	t.Helper()
	o := &outage{Backend: memstore.New(nil)}
	if err := o.Restore(t.Context(), nil); err != nil {
		t.Fatalf("Restore of nothing: %v", err)
	}
	s := poolkeeper.New(o, nil)
	t.Cleanup(func() { s.Close() })
	for _, def := range definitions {
		if _, err := s.AddProvider(t.Context(), "kiro", []byte(def)); err != nil {
			t.Fatal(err)
		}
	}
	return s, o
}

func kiroRef(id string) poolkeeper.Ref { return poolkeeper.Ref{Type: "kiro", ID: id} }

func putToken(t *testing.T, s *poolkeeper.Store, id, data string) {
	t.Helper()
	if _, err := s.PutToken(t.Context(), kiroRef(id), []byte(data), ""); err != nil {
		t.Fatal(err)
	}
}

func wantToken(t *testing.T, s *poolkeeper.Store, id, want string) {
	t.Helper()
	got, err := s.Token(t.Context(), kiroRef(id))
	if err != nil || string(got.Data) != want {
		t.Errorf("token of %s: %s, %v; want %s", id, got.Data, err, want)
	}
}

const shared = `{"t":"shared"}`

// A provider that leaves a shared file leaves its token to the others.
func TestTokenStaysWithItsSharers(t *testing.T) {
	for name, patch := range map[string]string{
		"another file": `{"K_CREDS_FILE_PATH":"configs/G"}`,
		"no file":      `{"K_CREDS_FILE_PATH":null}`,
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := storeWith(t, `{"uuid":"A","K_CREDS_FILE_PATH":"configs/F"}`, `{"uuid":"B","K_CREDS_FILE_PATH":"configs/F"}`)
			putToken(t, s, "A", shared)
			if _, err := s.PatchProvider(t.Context(), kiroRef("A"), poolkeeper.MergePatch, []byte(patch), ""); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Token(t.Context(), kiroRef("A")); !errors.Is(err, poolkeeper.ErrNotFound) {
				t.Errorf("the token of one that left the file: error %v, want ErrNotFound", err)
			}
			putToken(t, s, "A", `{"t":"own"}`)
			wantToken(t, s, "A", `{"t":"own"}`)
			wantToken(t, s, "B", shared)
			if _, err := s.RenameProvider(t.Context(), kiroRef("A"), "N", ""); err != nil {
				t.Fatal(err)
			}
			wantToken(t, s, "N", `{"t":"own"}`)
			wantToken(t, s, "B", shared)
			if _, err := s.DeleteToken(t.Context(), kiroRef("N"), ""); err != nil {
				t.Fatal(err)
			}
			wantToken(t, s, "B", shared)
		})
	}
}

// The id of a deleted provider is not free while others use its token.
func TestRenameOntoOwnerOfSharedToken(t *testing.T) {
	s, _ := storeWith(t, `{"uuid":"A","K_CREDS_FILE_PATH":"configs/F"}`, `{"uuid":"B","K_CREDS_FILE_PATH":"configs/F"}`, `{"uuid":"C"}`)
	putToken(t, s, "A", shared)
	putToken(t, s, "C", `{"t":"C"}`)
	if _, err := s.DeleteProvider(t.Context(), kiroRef("A"), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RenameProvider(t.Context(), kiroRef("C"), "A", ""); !errors.Is(err, poolkeeper.ErrExists) || poolkeeper.HintOf(err) == "" {
		t.Errorf("error %v, want ErrExists with a hint", err)
	}
	wantToken(t, s, "B", shared)
	wantToken(t, s, "C", `{"t":"C"}`)
}

// A rename that was cut off before its token moved is completed by calling it
// again, and keeps a token that was put meanwhile.
func TestRenameAgainAfterPutToken(t *testing.T) {
	for name, path := range map[string]string{"no file": "", "a file": `,"K_CREDS_FILE_PATH":"configs/F"`} {
		t.Run(name, func(t *testing.T) {
			s, o := storeWith(t, `{"uuid":"A"`+path+`}`)
			putToken(t, s, "A", `{"t":1}`)
			o.after = poolkeeper.OpRenameProvider
			if _, err := s.RenameProvider(t.Context(), kiroRef("A"), "N", ""); !errors.Is(err, poolkeeper.ErrIndeterminate) {
				t.Fatalf("cut off: error %v, want ErrIndeterminate", err)
			}
			o.after, o.down = "", false
			putToken(t, s, "N", `{"t":2}`)
			if _, err := s.RenameProvider(t.Context(), kiroRef("A"), "N", ""); err != nil {
				t.Fatal(err)
			}
			wantToken(t, s, "N", `{"t":2}`)
			snap, err := s.Snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if d, ok := snap.Token(kiroRef("A")); ok {
				t.Errorf("a token is left under the old id: %s", d.Data)
			}
			if d, ok := snap.Token(kiroRef("N")); !ok || string(d.Data) != `{"t":2}` {
				t.Errorf("token under the new id: %s", d.Data)
			}
		})
	}
}

// A key has no more than what its kind is named by.
func TestKeysWithTooMuch(t *testing.T) {
	s, _ := storeWith(t)
	for _, op := range []poolkeeper.Op{
		{Kind: poolkeeper.OpPut, Key: poolkeeper.Key{Kind: poolkeeper.KindConfig, Name: "x"}, Data: []byte(`{}`)},
		{Kind: poolkeeper.OpPut, Key: poolkeeper.Key{Kind: poolkeeper.KindPassword, Type: "x"}, Data: []byte(`x`)},
		{Kind: poolkeeper.OpPut, Key: poolkeeper.Key{Kind: poolkeeper.KindDocument, Type: "x", Name: "d"}, Data: []byte(`{}`)},
		{Kind: poolkeeper.OpPut, Key: poolkeeper.Key{Kind: poolkeeper.KindFile, Type: "x", Name: "configs/f"}, Data: []byte(`x`)},
		{Kind: poolkeeper.OpDeletePool, Key: poolkeeper.Key{Kind: poolkeeper.KindPool, Type: "kiro", Name: "x"}},
		{Kind: poolkeeper.OpReorderTypes, Key: poolkeeper.Key{Kind: poolkeeper.KindTypes, Name: "x"}},
		{Kind: poolkeeper.OpReorderTypes, Key: poolkeeper.TypesKey, If: poolkeeper.IfPresent},
		{Kind: poolkeeper.OpReorderTypes, Key: poolkeeper.TypesKey, If: "1"},
	} {
		if res := s.Apply(t.Context(), op)[0]; !errors.Is(res.Err, poolkeeper.ErrInvalid) {
			t.Errorf("%s %+v if %q: error %v, want ErrInvalid", op.Kind, op.Key, op.If, res.Err)
		}
	}
	snap, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(snap.Values) != 0 {
		t.Errorf("what was refused is there: %v", snap.Values)
	}
}

// The ops that Apply is given stay the caller's, without a time where they had none.
func TestApplyLeavesTheOps(t *testing.T) {
	s, _ := storeWith(t, `{"uuid":"A"}`)
	ops := []poolkeeper.Op{{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey("kiro"), ID: "A", N: 1}}
	for range 2 {
		if res := s.Apply(t.Context(), ops...)[0]; res.Err != nil {
			t.Fatal(res.Err)
		}
		if ops[0].At != 0 {
			t.Fatalf("the caller's op has the time %d now", ops[0].At)
		}
	}
}
