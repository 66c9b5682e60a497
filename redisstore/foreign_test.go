package redisstore_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// What the fork has left is read as fixtures/README.md says.
func TestForeignFork(t *testing.T) {
	r := forkRig(t, forkCommands(t))
	before := time.Now().UnixMilli()
	snap, notes := r.loadForeign(r.b)

	ids := func(typ string) (out []string) {
		for _, p := range snap.Pools[typ].Providers {
			out = append(out, p.ID)
		}
		return out
	}
	if got := ids(forkKiro); len(snap.Types) != 2 || len(got) != 3 || got[0] != forkK1 || got[1] != forkK2 || got[2][0] != '~' {
		t.Errorf("types %q, kiro %q", snap.Types, got)
	}
	if got := ids(forkCodex); len(got) != 1 || got[0] != forkC1 {
		t.Errorf("codex %q: the set of types misses it", got)
	}
	// A definition is what it was, to the byte, but for the list.
	k2 := snap.Provider(poolkeeper.Ref{Type: forkKiro, ID: forkK2})
	want := `{"usageCount":6,"KIRO_TOKEN_FILE_PATH":"redis:tokens:claude-kiro-oauth:` + forkK2 + `","notSupportedModels":[],` +
		`"big":9.007199254741e+15,"addedAt":"2026-01-27T00:00:00.000Z","uuid":"` + forkK2 + `","url":"https:\/\/h\/v1","isHealthy":true,"checkModel":"kiro","errorCount":0,"lastUsed":null}`
	if string(k2.Definition) != want {
		t.Errorf("definition %s\nwant %s", k2.Definition, want)
	}
	tokens := snap.KeysOf(poolkeeper.KindToken)
	if len(tokens) != 3 {
		t.Errorf("tokens %v, want 3", tokens)
	}
	for _, ref := range []poolkeeper.Ref{{Type: forkKiro, ID: forkK1}, {Type: forkKiro, ID: forkK2}, {Type: forkCodex, ID: forkC1}} {
		d, ok := snap.Token(ref)
		if !ok || d.ExpiresAt != 0 || json.Unmarshal(d.Data, &map[string]any{}) != nil {
			t.Errorf("token of %s: %v, expires %d", ref, ok, d.ExpiresAt)
		}
	}
	for path, ref := range map[string]poolkeeper.Ref{
		"configs/kiro/1769_a/1769_a.json": {Type: forkKiro, ID: forkK1}, "configs/codex/x.json": {Type: forkCodex, ID: forkC1},
	} {
		if d := snap.Values[poolkeeper.TokenRefKey(path)]; string(d.Data) != string(poolkeeper.EncodeTokenOwner(ref)) {
			t.Errorf("%s is owned by %s", path, d.Data)
		}
	}
	s, ok := snap.Values[poolkeeper.SessionKey(poolkeeper.SessionName(forkOwner))]
	if bearer, doc, err := poolkeeper.DecodeSession(s.Data); !ok || err != nil || bearer != forkOwner ||
		string(doc) != `{"username":"admin","loginTime":4102441200000,"expiryTime":4102444800000}` {
		t.Errorf("session: %v", err)
	}
	if left := s.ExpiresAt - before; left < 3_500_000 || left > 3_600_000 {
		t.Errorf("the session ends in %d ms, want its time to live", left)
	}
	for key, want := range map[poolkeeper.Key]string{
		poolkeeper.PasswordKey: "admin123", poolkeeper.DocumentKey("usage-cache.json"): `{"timestamp":"2026-01-25T10:00:00.000Z","providers":{}}`,
		poolkeeper.DocumentKey("plugins.json"): `{"plugins":{"default-auth":{"enabled":true,"description":"x"}}}`,
		poolkeeper.ConfigKey:                   r.srv.DoString("GET", "aiclient:config"),
	} {
		if got := string(snap.Values[key].Data); got != want {
			t.Errorf("%s is %s", key, got)
		}
	}
	if snap.Meta["migratedAt"] != "2026-01-25T10:00:00.000Z" || snap.Meta["version"] != "1.0" {
		t.Errorf("meta %v", snap.Meta)
	}
	if len(snap.Values) != 3+2+1+2+2 {
		t.Errorf("%d values: %v", len(snap.Values), contents(snap))
	}

	for _, n := range [][3]string{
		{"pool-types", "", "order"},
		{"pools:" + forkKiro, "", "order"},
		{"pools:" + forkKiro, `""`, "uuid"},
		{"pools:" + forkKiro, forkK2 + ".notSupportedModels", "list"},
		{"pools:" + forkKiro, forkK2 + ".big", "number"},
		{"tokens:openai-codex:" + forkC1, "", "token"},
		{"tokens:…", "openai-codex:" + forkC1, "ttl"},
		{"tokens:" + forkKiro + ":1769176045109", "", "token-duplicate"},
		{"token-lock:…", "", "ignored"},
		{"kiro:refresh-index:…", "", "ignored"},
		{"kiro:round-robin-counter", "", "ignored"},
	} {
		r.noted(notes, n[0], n[1], n[2])
	}
	if len(notes) != 11 {
		t.Errorf("%d notes, want 11: %v", len(notes), notes)
	}
}

func TestForeignIsNone(t *testing.T) {
	r := newRig(t)
	if _, _, err := r.b.LoadForeign(t.Context()); !errors.Is(err, poolkeeper.ErrExists) {
		t.Errorf("of a store of Poolkeeper's: %v, want ErrExists", err)
	}
	empty := r.open(r.srv.SocketURL(), forkPrefix)
	if _, _, err := empty.LoadForeign(t.Context()); !errors.Is(err, poolkeeper.ErrUninitialized) {
		t.Errorf("of nothing: %v, want ErrUninitialized", err)
	}
	r.srv.DoString("SET", "aiclient:something:else", "x")
	if _, _, err := empty.LoadForeign(t.Context()); !errors.Is(err, poolkeeper.ErrForeign) || poolkeeper.HintOf(err) == "" {
		t.Errorf("of unknown keys: %v, want ErrForeign", err)
	}
	// A store of Poolkeeper's that has lost its meta hash is no foreign layout:
	// its state is in hashes that the layout does not have.
	r.must(r.b, useOp("a", 1))
	r.srv.DoInt("DEL", "t:meta")
	lost := r.open(r.srv.SocketURL())
	r.unchanged("a store without its meta hash", func() {
		if _, _, err := lost.LoadForeign(t.Context()); !errors.Is(err, poolkeeper.ErrDamaged) || poolkeeper.HintOf(err) == "" {
			t.Errorf("of a store without its meta hash: %v, want ErrDamaged", err)
		}
		if err := lost.Adopt(t.Context(), poolkeeper.NewSnapshot()); !errors.Is(err, poolkeeper.ErrDamaged) {
			t.Errorf("Adopt: %v, want ErrDamaged", err)
		}
	})
}
