package transfer_test

import (
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// TestSessionsOfOwnExport: sessions with any end come out of an export as they went
// in, to where there are none, and to where they are: that is no change, also where
// the store alone knew the end.
func TestSessionsOfOwnExport(t *testing.T) {
	const lastMillis = 253402300799999
	last, soon := time.UnixMilli(lastMillis), time.Now().Add(time.Hour).Truncate(time.Millisecond)
	srv := redistest.Start(t)
	for name, fresh := range map[string]func(t *testing.T) *poolkeeper.Store{
		"memory": newStore,
		"redis": func(t *testing.T) *poolkeeper.Store {
			srv.Do("FLUSHALL")
			st := must(openRedis(t, srv.URL()))
			t.Cleanup(func() { st.Close() })
			return st
		},
	} {
		t.Run(name, func(t *testing.T) {
			st := fresh(t)
			// Ends that only a document says: each is the last one that there can be.
			const far = `{"expiryTime":253402300799999.5}`
			mustImport(t, st, dirtest.WriteTree(t, map[string]string{"configs/token-store.json": `{"tokens":{"a":{"expiryTime":253402300799999},"b":{"expiryTime":253402300800000},
				"c":{"expiryTime":9007199254740993},"d":{"expiryTime":1e400},"e":{"expiryTime":"99999999999999999999"},"f":` + far + `,"g":{"expiryTime":null},"past":{"expiryTime":1}}}`}), nil)
			want := map[string]int64{"a": lastMillis, "b": lastMillis, "c": lastMillis, "d": lastMillis, "e": lastMillis, "f": lastMillis, "g": 0,
				"told last": lastMillis, "told soon": soon.UnixMilli(), "told never": 0, "told another": lastMillis - 1}
			for bearer, doc := range map[string]string{"told last": `{"u":1}`, "told soon": `{ "u": 1 }`, "told never": `{"u":1}`, "told another": far} {
				var expires time.Time
				if ms := want[bearer]; ms != 0 {
					expires = time.UnixMilli(ms)
				}
				must(st.PutSession(t.Context(), bearer, []byte(doc), expires))
			}
			if _, err := st.PutSession(t.Context(), "beyond", []byte(`{}`), last.Add(time.Millisecond)); poolkeeper.ClassOf(err).Code != "invalid" {
				t.Errorf("beyond the year 9999: %v", err)
			}
			check := func(when string, st *poolkeeper.Store) {
				t.Helper()
				n := 0
				for k, d := range snapshot(t, st).Values {
					if k.Kind != poolkeeper.KindSession {
						continue
					}
					n++
					bearer, _, _ := poolkeeper.DecodeSession(d.Data)
					if ms, ok := want[bearer]; !ok || d.ExpiresAt != ms {
						t.Errorf("%s: %q ends at %d, want %d", when, bearer, d.ExpiresAt, ms)
					}
				}
				if n != len(want) {
					t.Errorf("%s: %d sessions, want %d", when, n, len(want))
				}
			}
			check("as they were put", st)
			out, _ := write(t, snapshot(t, st))
			if res := mustImport(t, st, out, nil); res.Changes() != 0 || len(res.Kept) != 0 {
				t.Errorf("its own export: added %v, changed %v, kept %v", res.Added, res.Changed, res.Kept)
			}
			check("after its own export", st)
			before := dirtest.Tree(t, out)
			again := fresh(t)
			mustImport(t, again, out, nil)
			check("in a new store", again)
			next, _ := write(t, snapshot(t, again))
			if after := dirtest.Tree(t, next); after["token-store.json"] != before["token-store.json"] || !strings.Contains(after["token-store.json"], "1e400") {
				t.Errorf("the second export:\n%s\nthe first:\n%s", after["token-store.json"], before["token-store.json"])
			}
		})
	}
}
