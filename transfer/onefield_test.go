package transfer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
)

// A member is one of an object: its key, and its value without white space,
// every literal as it is.
type member struct{ key, value string }

// members splits an object by the decoder of the standard library.
func members(t *testing.T, doc []byte) []member {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(doc))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		t.Fatalf("no object: %v, %v", tok, err)
	}
	var all []member
	for dec.More() {
		key, err := dec.Token()
		var value json.RawMessage
		if err != nil || dec.Decode(&value) != nil {
			t.Fatalf("after %v: %v", key, err)
		}
		var b bytes.Buffer
		if err := json.Compact(&b, value); err != nil {
			t.Fatal(err)
		}
		all = append(all, member{fmt.Sprint(key), b.String()})
	}
	return all
}

// fileOf is the provider_pools.json of an export, split: the types, and of each
// the providers.
func fileOf(t *testing.T, st *poolkeeper.Store) (types []string, pools map[string][]string) {
	t.Helper()
	out, _ := write(t, snapshot(t, st))
	return poolsOf(t, out)
}

func poolsOf(t *testing.T, configs string) (types []string, pools map[string][]string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(configs, "provider_pools.json"))
	if err != nil {
		t.Fatal(err)
	}
	pools = map[string][]string{}
	for _, m := range members(t, bytes.TrimPrefix(data, []byte("\ufeff"))) {
		types = append(types, m.key)
		var defs []json.RawMessage
		if err := json.Unmarshal([]byte(m.value), &defs); err != nil {
			t.Fatal(err)
		}
		pools[m.key] = []string{}
		for _, def := range defs {
			pools[m.key] = append(pools[m.key], string(def))
		}
	}
	return types, pools
}

// TestOneField is rule 2: an edit of one field of one provider leaves every
// other token of the file as it was. Each provider has its turn, and each way
// to change a field.
func TestOneField(t *testing.T) {
	ctx := context.Background()
	edits := []struct {
		what   string
		fields []string
		do     func(*poolkeeper.Store, poolkeeper.Ref) error
	}{
		{"merge patch", []string{"customName"}, func(st *poolkeeper.Store, r poolkeeper.Ref) error {
			_, err := st.PatchProvider(ctx, r, poolkeeper.MergePatch, []byte(`{"customName":"changed <&> \u2028"}`), poolkeeper.Always)
			return err
		}},
		{"JSON patch", []string{"customName"}, func(st *poolkeeper.Store, r poolkeeper.Ref) error {
			_, err := st.PatchProvider(ctx, r, poolkeeper.JSONPatch, []byte(`[{"op":"add","path":"/customName","value":1.0}]`), poolkeeper.Always)
			return err
		}},
		{"usage", []string{"usageCount", "lastUsed"}, func(st *poolkeeper.Store, r poolkeeper.Ref) error {
			_, err := st.Usage(ctx, r, 3)
			return err
		}},
	}
	for _, name := range []string{"typical", "typical-jan2026", "edge", "edge-bom", "broken/counters-not-numbers"} {
		for i, edit := range edits {
			t.Run(name+"/"+edit.what, func(t *testing.T) {
				st := imported(t, dirtest.Configs(name))
				snap := snapshot(t, st)
				types, before := poolsOf(t, dirtest.Configs(name))
				for _, typ := range snap.Types {
					for k := range snap.Pools[typ].Providers {
						if name == "edge" && (k+i)%3 != 0 { // it has many
							continue
						}
						if err := edit.do(st, snap.Pools[typ].Providers[k].Ref); err != nil {
							t.Fatal(err)
						}
						typesNow, now := fileOf(t, st)
						if !slices.Equal(types, typesNow) {
							t.Fatalf("types %q", typesNow)
						}
						onlyField(t, before[typ][k], now[typ][k], edit.fields)
						before[typ][k] = now[typ][k]
						if diff := cmp.Diff(before, now); diff != "" {
							t.Fatalf("%s[%d]: others changed:\n%s", typ, k, diff)
						}
					}
				}
			})
		}
	}
}

// onlyField compares two states of a provider but for the fields that changed.
func onlyField(t *testing.T, before, now string, fields []string) {
	t.Helper()
	if before == now {
		t.Error("nothing changed")
	}
	rest := func(doc string) []member {
		return slices.DeleteFunc(members(t, []byte(doc)), func(m member) bool { return slices.Contains(fields, m.key) })
	}
	if diff := cmp.Diff(rest(before), rest(now), cmp.AllowUnexported(member{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("other fields changed:\n%s", diff)
	}
	keys := func(doc string) (all []string) {
		for _, m := range members(t, []byte(doc)) {
			all = append(all, m.key)
		}
		return all
	}
	if k := keys(before); !slices.Equal(k, keys(now)[:len(k)]) {
		t.Errorf("the order of the keys is %q, and was %q", keys(now), k)
	}
}

// oddCounts are the usageCounts of broken/counters-not-numbers after one more
// use each.
var oddCounts = []string{"13", "-4", "3", "1", "1", "1", "1", "1", "1", "9223372036854775807", "9223372036854775807", "8"}

// TestOddCounters counts on from what is no whole number.
func TestOddCounters(t *testing.T) {
	ctx := context.Background()
	st := imported(t, dirtest.Configs("broken/counters-not-numbers"))
	_, before := poolsOf(t, dirtest.Configs("broken/counters-not-numbers"))
	_, now := fileOf(t, st)
	if diff := cmp.Diff(before, now); diff != "" {
		t.Errorf("what nobody used was changed:\n%s", diff)
	}
	for i, p := range snapshot(t, st).Pools["openai-custom"].Providers {
		if _, err := st.Usage(ctx, p.Ref, 1); err != nil {
			t.Fatal(err)
		}
		if p, err := st.Provider(ctx, p.Ref); err != nil || p.Literal(poolkeeper.UsageCount) != oddCounts[i] {
			t.Errorf("%d: %s, want %s: %v", i, p.Literal(poolkeeper.UsageCount), oddCounts[i], err)
		}
	}
	// E01 of edge is beyond what a floating-point number can count.
	st = imported(t, dirtest.Configs("edge"))
	ref := poolkeeper.Ref{Type: "claude-kiro-oauth", ID: "0f5f1a2b-3c4d-4e5f-8a9b-0c1d2e3f4a5b"}
	if _, err := st.Usage(ctx, ref, 1); err != nil {
		t.Fatal(err)
	}
	_, now = fileOf(t, st)
	if first := now["claude-kiro-oauth"][0]; !strings.Contains(first, `"usageCount": 9007199254740994`) && !strings.Contains(first, `"usageCount":9007199254740994`) {
		t.Errorf("E01 is %s", first)
	}
	// E03 has the same uuid, and is another provider.
	if third := now["claude-kiro-oauth"][2]; strings.Contains(third, "9007199254740994") {
		t.Errorf("E03 is %s", third)
	}
}

// TestSharedTokens refreshes a token that two types share: both see it, and it
// is one file.
func TestSharedTokens(t *testing.T) {
	ctx := context.Background()
	const id, next = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee", `{"access_token":"FAKE-refreshed"}`
	a, b := poolkeeper.Ref{Type: "gemini-cli-oauth", ID: id}, poolkeeper.Ref{Type: "gemini-antigravity", ID: id}
	st := imported(t, dirtest.Configs("edge"))
	if _, err := st.PutToken(ctx, b, []byte(next), poolkeeper.Always); err != nil {
		t.Fatal(err)
	}
	for _, r := range []poolkeeper.Ref{a, b} {
		if tok, err := st.Token(ctx, r); err != nil || string(tok.Data) != next || tok.Owner != a {
			t.Errorf("%s: %s of %s, %v", r, tok.Data, tok.Owner, err)
		}
	}
	out, _ := write(t, snapshot(t, st))
	found, _ := dirtest.Gateway(t, filepath.Dir(out))
	for _, where := range []string{"gemini-cli-oauth[0].GEMINI_OAUTH_CREDS_FILE_PATH", "gemini-antigravity[0].ANTIGRAVITY_OAUTH_CREDS_FILE_PATH"} {
		if found[where] != "file "+dirtest.Sum(next) {
			t.Errorf("%s: %s", where, found[where])
		}
	}
}
