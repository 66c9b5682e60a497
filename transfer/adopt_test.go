package transfer_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/filestore"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/transfer"
)

// onEach runs a test on an empty store of each kind.
func onEach(t *testing.T, do func(t *testing.T, st *poolkeeper.Store)) {
	t.Run("memory", func(t *testing.T) { do(t, newStore(t)) })
	t.Run("redis", func(t *testing.T) {
		st := must(openRedis(t, redistest.Start(t).URL()))
		t.Cleanup(func() { st.Close() })
		do(t, st)
	})
	t.Run("file", func(t *testing.T) {
		dir := dirtest.WriteTree(t, nil)
		b := must(filestore.Open(t.Context(), dir, &filestore.Options{StateDir: filepath.Join(filepath.Dir(dir), "state"), Lag: time.Hour, Poll: time.Hour}))
		st := poolkeeper.New(b, nil)
		t.Cleanup(func() { st.Close() })
		do(t, st)
	})
}

func patch(t *testing.T, st *poolkeeper.Store, r poolkeeper.Ref, fields string) {
	t.Helper()
	must(st.PatchProvider(t.Context(), r, poolkeeper.MergePatch, []byte(fields), poolkeeper.Always))
}

// same checks that a directory is what the store has, and that it changes
// nothing there.
func same(t *testing.T, st *poolkeeper.Store, dir string) {
	t.Helper()
	if c, err := transfer.Verify(t.Context(), st, dir, nil); err != nil {
		t.Errorf("verify: %v\n%v", err, c)
	}
	before := snapshot(t, st)
	for _, opts := range []*transfer.ImportOptions{nil, {Mirror: true}, {Force: true, Mirror: true}} {
		res, err := transfer.Import(t.Context(), st, dir, opts)
		if err != nil {
			t.Errorf("import: %v", err)
		} else if res.Changes() != 0 || len(res.Kept) != 0 {
			t.Errorf("import %+v: added %q, changed %q, removed %q, kept %q", opts, lines(res.Added), lines(res.Changed), lines(res.Removed), lines(res.Kept))
		}
	}
	after := snapshot(t, st)
	for _, s := range []*poolkeeper.Snapshot{before, after} {
		delete(s.Meta, "importing")
	}
	dirtest.SameState(t, before, after)
}

// TestDerivedIDs: the export of providers whose definitions do not hold their ids
// is what was exported, whatever happened to the definitions since they had them.
func TestDerivedIDs(t *testing.T) {
	onEach(t, func(t *testing.T, st *poolkeeper.Store) {
		ctx := t.Context()
		mustImport(t, st, dirtest.WriteTree(t, map[string]string{
			"configs/config.json":         `{}`,
			"configs/provider_pools.json": `{"openai-custom":[{"customName":"nouuid"},{"customName":"nouuid"}],"x":[],"y":[{"n":1},{"n":1}]}`,
		}), nil)
		first := poolkeeper.Ref{Type: "openai-custom", ID: "~38d2cb86184d600f"}
		patch(t, st, first, `{"customName":"changed"}`)
		must(st.Usage(ctx, first, 3))
		must(st.PutProvider(ctx, poolkeeper.Ref{Type: "x", ID: "~q"}, []byte(`{"customName":"x"}`), poolkeeper.Always))
		y := snapshot(t, st).Pools["y"].Providers
		must(st.Usage(ctx, y[1].Ref, 2))
		must(st.ReorderPool(ctx, "y", []string{y[1].ID, y[0].ID}, poolkeeper.Always))
		dir, _ := write(t, snapshot(t, st))
		same(t, st, dir)
		if n := snapshot(t, st).Provider(poolkeeper.Ref{Type: first.Type, ID: first.ID + ".2"}).Count(poolkeeper.UsageCount); n != 0 {
			t.Errorf("the second account counts %d", n)
		}
	})
}

// TestDerivedIDsRandom does the same with random pools and changes, with tokens of
// their own and shared ones.
func TestDerivedIDsRandom(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	onEach(t, func(t *testing.T, st *poolkeeper.Store) {
		r := rand.New(rand.NewPCG(seed, 1))
		definition := func() string {
			s := fmt.Sprintf(`{"name":"n%d","usageCount":%d`, r.IntN(3), r.IntN(9))
			if r.IntN(3) == 0 {
				s += fmt.Sprintf(`,"uuid":"u%d"`, r.IntN(3))
			}
			if r.IntN(2) == 0 {
				s += fmt.Sprintf(`,"KIRO_OAUTH_CREDS_FILE_PATH":"configs/kiro/%d.json"`, r.IntN(4))
			}
			return s + "}"
		}
		files := map[string]string{"configs/config.json": `{}`}
		var all []string
		for i := range 10 {
			def := definition()
			if i < 4 { // no file is carried as one
				def = fmt.Sprintf(`{"name":"n%d","KIRO_OAUTH_CREDS_FILE_PATH":"configs/kiro/%d.json"}`, r.IntN(2), i)
			}
			all = append(all, def)
		}
		files["configs/provider_pools.json"] = `{"a":[` + strings.Join(all, ",") + `],"b":[` + strings.Join(all[:3], ",") + `]}`
		for i := range 4 {
			files[fmt.Sprintf("configs/kiro/%d.json", i)] = fmt.Sprintf(`{"accessToken":"SECRET%d"}`, i)
		}
		mustImport(t, st, dirtest.WriteTree(t, files), nil)
		for round := range 12 {
			snap := snapshot(t, st)
			var ids []string
			for _, p := range snap.Pools["a"].Providers {
				ids = append(ids, p.ID)
			}
			pick := poolkeeper.Ref{Type: "a", ID: ids[r.IntN(len(ids))]}
			switch r.IntN(6) {
			case 0, 1:
				patch(t, st, pick, fmt.Sprintf(`{"name":"n%d"}`, r.IntN(4)))
			case 2:
				must(st.Usage(t.Context(), pick, 1+r.Int64N(9)))
			case 3:
				r.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
				must(st.ReorderPool(t.Context(), "a", ids, poolkeeper.Always))
			case 4:
				if len(ids) > 4 {
					must(st.DeleteProvider(t.Context(), pick, poolkeeper.Always))
				}
			default:
				must(st.PutProvider(t.Context(), poolkeeper.Ref{Type: "a", ID: fmt.Sprintf("~q%d", round)}, []byte(definition()), poolkeeper.Always))
			}
			dir, _ := write(t, snapshot(t, st))
			if same(t, st, dir); t.Failed() {
				t.Fatalf("round %d", round)
			}
		}
	})
}

// TestDerivedIDsEdited: a definition that was edited in the directory is another
// account. The one that it was stays, or goes with Mirror, and that is listed; all
// others are who they were.
func TestDerivedIDsEdited(t *testing.T) {
	ctx := context.Background()
	a := poolkeeper.Ref{Type: "t", ID: "~q"}
	for _, mirror := range []bool{false, true} {
		st := newStore(t)
		mustImport(t, st, dirtest.WriteTree(t, map[string]string{"configs/provider_pools.json": `{"t":[{"n":1},{"n":1}]}`}), nil)
		one := snapshot(t, st).Pools["t"].Providers
		patch(t, st, one[0].Ref, `{"n":2}`)
		must(st.PutProvider(ctx, a, []byte(`{"n":3}`), poolkeeper.Always))
		must(st.Usage(ctx, a, 4))
		must(st.Usage(ctx, one[0].Ref, 5))
		// {"n":3} became {"n":4}, and came first.
		dir := dirtest.WriteTree(t, map[string]string{"configs/provider_pools.json": `{"t":[{"n":4},{"n":2,"usageCount":5},{"n":1}]}`})
		res := mustImport(t, st, dir, &transfer.ImportOptions{Mirror: mirror})
		added := []string{"t " + poolkeeper.DerivedID([]byte(`{"n":4}`), 1)}
		var removed []string
		ids := []string{added[0][2:], one[0].ID, one[1].ID, a.ID}
		if mirror {
			removed, ids = []string{a.String()}, ids[:3]
		}
		if !slices.Equal(lines(res.Added), added) || !slices.Equal(lines(res.Removed), removed) || len(res.Changed) != 0 {
			t.Errorf("added %q, removed %q, changed %q", lines(res.Added), lines(res.Removed), lines(res.Changed))
		}
		var got []string
		for _, p := range snapshot(t, st).Pools["t"].Providers {
			got = append(got, p.ID)
		}
		if !slices.Equal(got, ids) {
			t.Errorf("%q, want %q", got, ids)
		}
		if n := snapshot(t, st).Provider(one[0].Ref).Count(poolkeeper.UsageCount); n != 5 {
			t.Errorf("counts %d", n)
		}
		if _, err := transfer.Verify(ctx, st, dir, &transfer.VerifyOptions{ContentOnly: true}); mirror && err != nil {
			t.Error(err)
		}
	}
}

// TestDerivedIDsOlderDirectory: a directory that is older than the change in the
// store brings the definition back, under the id that it had.
func TestDerivedIDsOlderDirectory(t *testing.T) {
	dir := dirtest.WriteTree(t, map[string]string{"configs/provider_pools.json": `{"t":[{"n":1},{"n":1},{"n":2}]}`})
	for _, edited := range []int{0, 1, 2} {
		st := imported(t, dir)
		patch(t, st, snapshot(t, st).Pools["t"].Providers[edited].Ref, `{"n":7}`)
		res := mustImport(t, st, dir, nil)
		if len(res.Added) != 0 || len(res.Changed) == 0 || len(snapshot(t, st).Pools["t"].Providers) != 3 {
			t.Errorf("%d: added %q, changed %q", edited, lines(res.Added), lines(res.Changed))
		}
		same(t, st, dir)
	}
}

// TestDerivedIDTaken: what has the id of an account that is somebody else now gets
// another one.
func TestDerivedIDTaken(t *testing.T) {
	st := imported(t, dirtest.WriteTree(t, map[string]string{"configs/provider_pools.json": `{"t":[{"n":1}]}`}))
	was := snapshot(t, st).Pools["t"].Providers[0].Ref
	patch(t, st, was, `{"n":2}`)
	dir := dirtest.WriteTree(t, map[string]string{"configs/provider_pools.json": `{"t":[{"n":1},{"n":2}]}`})
	res := mustImport(t, st, dir, nil)
	if want := []string{was.String() + ".2"}; !slices.Equal(lines(res.Added), want) {
		t.Errorf("added %q, want %q", lines(res.Added), want)
	}
	for _, n := range res.Report.Warnings {
		if n.Where == "t[1].uuid" && !strings.HasSuffix(n.Text, "addressed as "+was.ID) {
			t.Errorf("%s", n)
		}
	}
	same(t, st, dir)
}

// TestDerivedIDsOfSharedUUID: which of two has their uuid as its id is settled when
// they get their ids, whatever the order is later.
func TestDerivedIDsOfSharedUUID(t *testing.T) {
	st := imported(t, dirtest.WriteTree(t, map[string]string{"configs/provider_pools.json": `{"t":[{"uuid":"u","n":1},{"uuid":"u","n":2}]}`}))
	was := snapshot(t, st).Pools["t"].Providers
	must(st.Usage(t.Context(), was[1].Ref, 2))
	must(st.ReorderPool(t.Context(), "t", []string{was[1].ID, "u"}, poolkeeper.Always))
	dir, _ := write(t, snapshot(t, st))
	same(t, st, dir)
}

// TestDerivedIDsOfNewToken: a token that only the directory has is that of the
// stored provider.
func TestDerivedIDsOfNewToken(t *testing.T) {
	const path = `"KIRO_OAUTH_CREDS_FILE_PATH":"configs/kiro/a.json"`
	st := imported(t, dirtest.WriteTree(t, map[string]string{"configs/provider_pools.json": `{"claude-kiro-oauth":[{"n":1}]}`}))
	p := snapshot(t, st).Pools["claude-kiro-oauth"].Providers[0].Ref
	patch(t, st, p, "{"+path+"}")
	dir := dirtest.WriteTree(t, map[string]string{
		"configs/provider_pools.json": `{"claude-kiro-oauth":[{"n":1,` + path + `}]}`, "configs/kiro/a.json": `{"accessToken":"SECRET"}`,
	})
	mustImport(t, st, dir, nil)
	if d, ok := snapshot(t, st).Token(p); !ok || string(d.Data) != `{"accessToken":"SECRET"}` {
		t.Error("it is stored under another id")
	}
	if tok, err := st.Token(t.Context(), p); err != nil || tok.Owner != p {
		t.Errorf("owner %v, %v", tok.Owner, err)
	}
	same(t, st, dir)
}

// TestDerivedIDsOfPlacedToken: a token without a file gets one when it is written,
// which the definition then names.
func TestDerivedIDsOfPlacedToken(t *testing.T) {
	st := imported(t, dirtest.WriteTree(t, map[string]string{"configs/provider_pools.json": `{"claude-kiro-oauth":[{"n":1},{"n":1}]}`}))
	p := snapshot(t, st).Pools["claude-kiro-oauth"].Providers[1].Ref
	must(st.PutToken(t.Context(), p, []byte(`{"accessToken":"SECRET"}`), poolkeeper.Always))
	dir, _ := write(t, snapshot(t, st))
	if c, err := transfer.Verify(t.Context(), st, dir, nil); err != nil {
		t.Errorf("%v\n%v", err, c)
	}
	if res := mustImport(t, st, dir, nil); len(res.Added) > 1 || len(snapshot(t, st).Pools[p.Type].Providers) != 2 {
		t.Errorf("added %q", lines(res.Added))
	}
	if tok, err := st.Token(t.Context(), p); err != nil || tok.Owner != p {
		t.Errorf("%+v, %v", tok.Owner, err)
	}
}

// TestDerivedIDsOfSource: another store has ids of its own, and is the same to an
// import as the directory of its export.
func TestDerivedIDsOfSource(t *testing.T) {
	ctx := t.Context()
	from := imported(t, dirtest.WriteTree(t, map[string]string{
		"configs/provider_pools.json": `{"claude-kiro-oauth":[{"n":1},{"n":1,"KIRO_OAUTH_CREDS_FILE_PATH":"configs/a.json"},{"n":1}]}`,
		"configs/a.json":              `{"accessToken":"SECRET"}`,
	}))
	ref := snapshot(t, from).Pools["claude-kiro-oauth"].Providers[1].Ref
	patch(t, from, ref, `{"n":2}`)
	must(from.PutProvider(ctx, poolkeeper.Ref{Type: ref.Type, ID: "~q"}, []byte(`{"n":1}`), poolkeeper.Always))
	dir, _ := write(t, snapshot(t, from))
	st := imported(t, dir)
	if id := snapshot(t, st).Pools[ref.Type].Providers[1].ID; id == ref.ID {
		t.Fatal("the ids are the same, and nothing is tested")
	}
	before := snapshot(t, st)
	res := mustImportSource(t, st, &transfer.Source{Name: "source", Snapshot: snapshot(t, from)}, &transfer.ImportOptions{Mirror: true})
	if res.Changes() != 0 {
		t.Errorf("added %q, changed %q, removed %q", lines(res.Added), lines(res.Changed), lines(res.Removed))
	}
	dirtest.SameState(t, before, snapshot(t, st))

	// Of equal ones, those are the same that have the same id, in any order.
	snap := snapshot(t, from)
	slices.Reverse(snap.Pools[ref.Type].Providers)
	snap.Pools[ref.Type].Provider("~q").State.Set(poolkeeper.UsageCount, "6")
	mustImportSource(t, from, &transfer.Source{Name: "source", Snapshot: snap, Unordered: true}, nil)
	for _, p := range snapshot(t, from).Pools[ref.Type].Providers {
		if n := p.Count(poolkeeper.UsageCount); (n == 6) != (p.ID == "~q") {
			t.Errorf("%s counts %d", p.Ref, n)
		}
	}
}

// TestManyDerivedIDs is a pool in which no id is that which a directory derives.
func TestManyDerivedIDs(t *testing.T) {
	n := 20_000
	if testing.Short() {
		n = 2000
	}
	var pools strings.Builder
	pools.WriteString(`{"t":[{"n":-1}`)
	for i := range n {
		fmt.Fprintf(&pools, `,{"n":%d}`, i&1)
	}
	pools.WriteString("]}")
	st := imported(t, dirtest.WriteTree(t, map[string]string{"configs/provider_pools.json": pools.String()}))
	all := snapshot(t, st).Pools["t"].Providers
	patch(t, st, all[1].Ref, `{"n":3}`)
	dir, _ := write(t, snapshot(t, st))
	same(t, st, dir)
	// As many are others now.
	dir = dirtest.WriteTree(t, map[string]string{"configs/provider_pools.json": strings.Replace(pools.String(), `{"n":-1}`, `{"n":-1},{"n":1}`, 1)})
	mustImport(t, st, dir, nil)
}
