package filestore_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/filestore"
	"github.com/poolkeeper/poolkeeper/internal/vfs/faultfs"
)

// cutPools has three providers without a uuid that only their counters tell apart.
const cutPools = `{"t":[{"uuid":"a","note":0,"X_TOKEN_FILE_PATH":"configs/k/a.json"},{"n":1,"usageCount":1},{"n":1,"usageCount":2},{"n":1,"usageCount":3}],"u":[{"uuid":"z"}]}`

// cutWork is what the store does before the checkpoint that is cut off.
type cutWork struct {
	do func(t *testing.T, st *poolkeeper.Store, equal []poolkeeper.Ref) error
	// want is what it makes of the providers of t, in lines of shape.
	want []string
}

// A shape is a provider as the test looks at it: its definition without its paths,
// and how often it was used.
func shape(def []byte) string {
	var p map[string]any
	if err := json.Unmarshal(def, &p); err != nil {
		return err.Error()
	}
	delete(p, "X_TOKEN_FILE_PATH")
	uses := p["usageCount"]
	for _, f := range poolkeeper.Fields() {
		delete(p, f.String())
	}
	out, err := json.Marshal(p)
	if err != nil {
		return err.Error()
	}
	if uses == nil {
		uses = 0
	}
	return fmt.Sprint(string(out), " ", uses)
}

func cutWorks() map[string]cutWork {
	const always = poolkeeper.Always
	a := poolkeeper.Ref{Type: "t", ID: "a"}
	base := func(t *testing.T, st *poolkeeper.Store, equal []poolkeeper.Ref) error {
		_, err := st.PatchProvider(t.Context(), a, poolkeeper.MergePatch, []byte(`{"note":5}`), always)
		if err == nil {
			_, err = st.PutToken(t.Context(), a, []byte(`{"refreshToken":"5"}`), always)
		}
		if err == nil {
			_, err = st.Usage(t.Context(), equal[1], 10)
		}
		return err
	}
	with := func(more func(t *testing.T, st *poolkeeper.Store, equal []poolkeeper.Ref) error) func(t *testing.T, st *poolkeeper.Store, equal []poolkeeper.Ref) error {
		return func(t *testing.T, st *poolkeeper.Store, equal []poolkeeper.Ref) error {
			if err := base(t, st, equal); err != nil {
				return err
			}
			return more(t, st, equal)
		}
	}
	add := func(def string) func(t *testing.T, st *poolkeeper.Store, equal []poolkeeper.Ref) error {
		return func(t *testing.T, st *poolkeeper.Store, _ []poolkeeper.Ref) error {
			_, err := st.AddProvider(t.Context(), "t", []byte(def))
			return err
		}
	}
	const first = `{"note":5,"uuid":"a"} 0`
	return map[string]cutWork{
		"counts":   {base, []string{first, `{"n":1} 1`, `{"n":1} 12`, `{"n":1} 3`}},
		"adds one": {with(add(`{"uuid":"ours"}`)), []string{first, `{"n":1} 1`, `{"n":1} 12`, `{"n":1} 3`, `{"uuid":"ours"} 0`}},
		"edits an equal one": {with(func(t *testing.T, st *poolkeeper.Store, equal []poolkeeper.Ref) error {
			_, err := st.PatchProvider(t.Context(), equal[2], poolkeeper.MergePatch, []byte(`{"ours":1}`), always)
			return err
		}), []string{first, `{"n":1} 1`, `{"n":1} 12`, `{"n":1,"ours":1} 3`}},
		"removes an equal one": {with(func(t *testing.T, st *poolkeeper.Store, equal []poolkeeper.Ref) error {
			_, err := st.DeleteProvider(t.Context(), equal[0], always)
			return err
		}), []string{first, `{"n":1} 12`, `{"n":1} 3`}},
		"names an equal one": {with(func(t *testing.T, st *poolkeeper.Store, equal []poolkeeper.Ref) error {
			_, err := st.RenameProvider(t.Context(), equal[1], "named", always)
			return err
		}), []string{first, `{"n":1} 1`, `{"n":1,"uuid":"named"} 12`, `{"n":1} 3`}},
	}
}

// cutEdits are what another program does to the pool as it finds it.
func cutEdits() map[string]func(pool []json.RawMessage) []json.RawMessage {
	insert := func(at int, def string) func([]json.RawMessage) []json.RawMessage {
		return func(pool []json.RawMessage) []json.RawMessage {
			i := at
			if i < 0 {
				i = len(pool)
			}
			return slices.Insert(pool, i, json.RawMessage(def))
		}
	}
	return map[string]func([]json.RawMessage) []json.RawMessage{
		"rewrites it":          func(pool []json.RawMessage) []json.RawMessage { return pool },
		"adds one before":      insert(0, `{"theirs":1,"usageCount":100}`),
		"adds one between":     insert(2, `{"theirs":1,"usageCount":100}`),
		"adds one behind":      insert(-1, `{"theirs":1,"usageCount":100}`),
		"adds an equal one":    insert(-1, `{"n":1,"usageCount":100}`),
		"edits a named one":    edited(`"uuid"`, 0),
		"edits an equal one":   edited(`"n"`, 1),
		"edits the last equal": edited(`"n"`, -1),
	}
}

// edited gives a field to one of those that have a name: the one at a position
// among them.
func edited(name string, at int) func(pool []json.RawMessage) []json.RawMessage {
	return func(pool []json.RawMessage) []json.RawMessage {
		var among []int
		for i, def := range pool {
			if bytes.Contains(def, []byte(name)) {
				among = append(among, i)
			}
		}
		i := among[(at+len(among))%len(among)]
		pool[i] = append([]byte(`{"theirs":1,`), bytes.TrimSpace(pool[i])[1:]...)
		return pool
	}
}

// TestEditAfterACutOffCheckpoint: a checkpoint is cut off at each of its calls, and
// another program edits provider_pools.json as it was left. At the next start both
// have all that they did.
func TestEditAfterACutOffCheckpoint(t *testing.T) {
	for ours, work := range cutWorks() {
		for theirs, change := range cutEdits() {
			t.Run(ours+"/"+theirs, func(t *testing.T) {
				t.Parallel()
				first, last := cutAt(t, work, 0, nil)
				for n := range eachCall(t, last-first+1) {
					cutAt(t, work, first+n-1, change)
				}
			})
		}
	}
}

// cutAt does the work, cuts off its checkpoint at a call of the file system, has the
// other program at the files, and looks at what there is then. Where at is 0 it
// returns which calls are those of the checkpoint.
func cutAt(t *testing.T, work cutWork, at int, change func([]json.RawMessage) []json.RawMessage) (first, last int) {
	t.Helper()
	ctx := t.Context()
	dir := filepath.Join(quickDir(t), "configs")
	apply(t, dir, edit{"provider_pools.json": cutPools, "config.json": `{}`, "k/a.json": `{"refreshToken":"0"}`})
	died := false
	plan := &faultfs.Plan{At: at, Fault: faultfs.Kill, Die: func() { died = true }}
	s, err := filestore.Open(ctx, dir, &filestore.Options{Lag: time.Hour, Poll: time.Hour, OpenFS: withPlan(plan)})
	if err != nil {
		t.Fatal(err)
	}
	st := poolkeeper.New(s, nil)
	pool, err := st.Pool(ctx, "t")
	if err != nil {
		t.Fatal(err)
	}
	var equal []poolkeeper.Ref
	for _, p := range pool.Providers[1:] {
		equal = append(equal, p.Ref)
	}
	if err := work.do(t, st, equal); err != nil {
		t.Fatal(err)
	}
	first = plan.Count() + 1
	if err := s.Flush(ctx); err != nil && !died {
		t.Fatalf("call %d: died %v, %v", at, died, err)
	}
	last = plan.Count()
	s.Close()
	if at == 0 {
		return first, last
	}
	if !died {
		t.Fatalf("call %d of %d to %d did not kill it", at, first, last)
	}

	pools := filepath.Join(dir, "provider_pools.json")
	data, err := os.ReadFile(pools)
	if err != nil {
		t.Fatal(err)
	}
	written := map[string][]json.RawMessage{}
	if err := json.Unmarshal(data, &written); err != nil {
		t.Fatal(err)
	}
	// What the edit makes of what is written, it is to make of what the store has.
	before := shapes(written["t"])
	written["t"] = change(written["t"])
	want := expected(before, shapes(written["t"]), work.want)
	out, err := json.MarshalIndent(written, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	apply(t, dir, edit{"provider_pools.json": string(out)})

	again := openAt(t, dir, &filestore.Options{Lag: time.Hour, Poll: time.Hour})
	defer again.Close()
	if err := again.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	st = poolkeeper.New(again, nil)
	if pool, err = st.Pool(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	var got []json.RawMessage
	for i := range pool.Providers {
		def, err := pool.Providers[i].JSON()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, def)
	}
	info, err := again.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	has := shapes(got)
	slices.Sort(has)
	if slices.Sort(want); !slices.Equal(has, want) {
		t.Errorf("call %d: it was written\n %s\nedited to\n %s\nand is\n %s\nwant\n %s\ntold %q", at-first+1, strings.Join(before, "\n "), strings.Join(shapes(written["t"]), "\n "), strings.Join(has, "\n "), strings.Join(want, "\n "), info.Warnings)
	}
	if len(info.Warnings) > 0 {
		t.Errorf("call %d: it tells %q", at-first+1, info.Warnings)
	}
	if tok, err := st.Token(ctx, poolkeeper.Ref{Type: "t", ID: "a"}); err != nil || string(tok.Data) != `{"refreshToken":"5"}` {
		t.Errorf("call %d: the token is %s, %v", at-first+1, tok.Data, err)
	}
	return first, last
}

func shapes(pool []json.RawMessage) (all []string) {
	for _, def := range pool {
		all = append(all, shape(def))
	}
	return all
}

// expected is what the store had, with what an edit did to what was written.
func expected(before, after, had []string) []string {
	want := slices.Clone(had)
	for _, s := range after {
		if i := slices.Index(before, s); i >= 0 {
			before = slices.Delete(slices.Clone(before), i, i+1)
			continue
		}
		plain := strings.Replace(s, `,"theirs":1`, "", 1)
		if !slices.Contains(before, plain) {
			want = append(want, s)
			continue
		}
		// It is the one that was used as often; the second one more often by now.
		_, uses, _ := strings.Cut(plain, "} ")
		if uses == "2" {
			uses = "12"
		}
		i := slices.IndexFunc(want, func(o string) bool { return strings.HasSuffix(o, "} "+uses) })
		if i < 0 {
			return nil
		}
		for _, behind := range []string{`,"uuid"`, "} "} { // the names are sorted
			if head, tail, ok := strings.Cut(want[i], behind); ok {
				want[i] = head + `,"theirs":1` + behind + tail
				break
			}
		}
	}
	return want
}
