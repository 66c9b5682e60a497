package redisstore_test

import (
	"encoding/json"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

// The providers and tokens of the fixture.
const (
	forkKiro  = "claude-kiro-oauth"
	forkCodex = "openai-codex-oauth"
	forkK1    = "de77309c-1130-48c6-a338-c0a768c97a83"
	forkK2    = "e5be42e0-7de2-4d71-a1bf-00feba16f9a5"
	forkC1    = "60b506d8-1d27-4348-a1fb-7730c6ef0a8b"
	forkOwner = "743c7e67608a9934c56c428d2ea66919413d486017db8135b9900ed6a7ec6fa4" // a bearer
)

// forkCommands are those that build a Redis as the Node fork leaves it.
func forkCommands(t *testing.T) (cmds [][]string) {
	t.Helper()
	data, err := os.ReadFile("../testdata/fixtures/fork-redis/commands.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var cmd []string
		if err := json.Unmarshal([]byte(line), &cmd); err != nil {
			t.Fatal(err)
		}
		cmds = append(cmds, cmd)
	}
	if len(cmds) != 20 {
		t.Fatalf("the fixture has %d commands, want 20", len(cmds))
	}
	return cmds
}

func fill(t *testing.T, srv *redistest.Server, cmds [][]string) {
	t.Helper()
	for part := range chunks(cmds, 1000) {
		answers, err := srv.Pipeline(part...)
		if err != nil {
			t.Fatal(err)
		}
		for i, a := range answers {
			if e, ok := a.(redistest.Error); ok {
				t.Fatalf("%.80q: %v", part[i], e)
			}
		}
	}
}

func chunks(cmds [][]string, n int) func(func([][]string) bool) {
	return func(yield func([][]string) bool) {
		for len(cmds) > 0 {
			m := min(n, len(cmds))
			if !yield(cmds[:m]) {
				return
			}
			cmds = cmds[m:]
		}
	}
}

// forkRig is a server with the commands executed, and a store on it.
func forkRig(t *testing.T, cmds [][]string, opts ...redistest.Option) *rig {
	t.Helper()
	srv := redistest.Start(t, opts...)
	fill(t, srv, cmds)
	r := &rig{T: t, srv: srv}
	r.b = r.open(srv.SocketURL(), forkPrefix)
	return r
}

func forkPrefix(o *redisstore.Options) { o.Prefix = redisstore.DefaultPrefix }

// loadForeign reads the foreign store, which must not change by it.
func (r *rig) loadForeign(b *redisstore.Store) (*poolkeeper.Snapshot, []redisstore.ForeignNote) {
	r.Helper()
	var snap *poolkeeper.Snapshot
	var notes []redisstore.ForeignNote
	r.unchanged("reading a foreign store", func() {
		var err error
		if snap, notes, err = b.LoadForeign(r.Context()); err != nil {
			r.Fatal(err)
		}
	})
	r.noBearer(notes)
	return snap, notes
}

func (r *rig) noBearer(notes []redisstore.ForeignNote) {
	r.Helper()
	for _, n := range notes {
		text := n.Key + " " + n.Where + " " + n.Text
		for _, secret := range []string{"FAKE", "743c7e67", "admin123"} {
			if strings.Contains(text, secret) {
				r.Errorf("a note has the secret %s: %s", secret, text)
			}
		}
	}
}

// noted finds a note by its key, place and code.
func (r *rig) noted(notes []redisstore.ForeignNote, key, where, code string) {
	r.Helper()
	for _, n := range notes {
		if n.Key == key && n.Where == where && n.Code == code {
			return
		}
	}
	r.Errorf("no note %s about %s %q; there are:", code, key, where)
	for _, n := range notes {
		r.Logf("%s %q %s: %s", n.Key, n.Where, n.Code, n.Text)
	}
}

// contents are the values of a snapshot, by key.
func contents(snap *poolkeeper.Snapshot) map[string]string {
	out := map[string]string{}
	for k, d := range snap.Values {
		out[k.String()] = string(d.Data)
	}
	for _, p := range snap.Pools {
		out[poolkeeper.PoolKey(p.Type).String()] = ""
		for i := range p.Providers {
			def, _ := p.Providers[i].JSON()
			out[poolkeeper.PoolKey(p.Type).String()] += p.Providers[i].ID + "\n"
			out[p.Providers[i].Ref.String()] = string(def)
		}
	}
	return out
}

// adopted converts a copy of the store in one go, and returns what is in it
// then.
func adopted(t *testing.T, cmds [][]string) map[string]string {
	t.Helper()
	r := forkRig(t, cmds)
	snap, _ := r.loadForeign(r.b)
	if err := r.b.Adopt(t.Context(), snap); err != nil {
		t.Fatal(err)
	}
	got, err := r.open(r.srv.SocketURL(), forkPrefix).Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return contents(got)
}

func sameContents(t *testing.T, what string, want, got map[string]string) {
	t.Helper()
	if maps.Equal(want, got) {
		return
	}
	for k := range want {
		if w, g := want[k], got[k]; w != g {
			t.Errorf("%s: %s is\n%.200s\nwant\n%.200s", what, k, g, w)
		}
	}
	for k := range got {
		if _, ok := want[k]; !ok {
			t.Errorf("%s: there is %s besides", what, k)
		}
	}
}
