package transfer_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/transfer"
)

// bigDir makes a directory of n providers with a token each.
func bigDir(tb testing.TB, n int) string {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "configs")
	var pools strings.Builder
	pools.WriteString("{\n  \"claude-kiro-oauth\": [")
	for i := range n {
		name := fmt.Sprintf("%013d_kiro-auth-token", i)
		sub := filepath.Join(dir, "kiro", name)
		if err := os.MkdirAll(sub, 0o700); err != nil {
			tb.Fatal(err)
		}
		token := fmt.Sprintf(`{"accessToken":"FAKE-%d%s","refreshToken":"FAKE","expiresAt":"2030-01-01T00:00:00.000Z"}`, i, strings.Repeat("a", 900))
		if err := os.WriteFile(filepath.Join(sub, name+".json"), []byte(token), 0o600); err != nil {
			tb.Fatal(err)
		}
		if i > 0 {
			pools.WriteString(",")
		}
		fmt.Fprintf(&pools, `
    {
      "KIRO_OAUTH_CREDS_FILE_PATH": "./configs/kiro/%s/%s.json",
      "uuid": "%08x-0000-4000-8000-000000000000",
      "checkModelName": "claude-haiku-4-5",
      "checkHealth": false,
      "isHealthy": true,
      "isDisabled": false,
      "lastUsed": "2026-05-29T22:10:00.000Z",
      "usageCount": %d,
      "errorCount": 0,
      "lastErrorTime": null,
      "lastErrorMessage": null,
      "customName": null,
      "notSupportedModels": [],
      "concurrencyLimit": 2
    }`, name, name, i, i)
	}
	pools.WriteString("\n  ]\n}")
	if err := os.WriteFile(filepath.Join(dir, "provider_pools.json"), []byte(pools.String()), 0o600); err != nil {
		tb.Fatal(err)
	}
	return dir
}

func TestManyProviders(t *testing.T) {
	n := 3000
	if testing.Short() {
		n = 300
	}
	dir := bigDir(t, n)
	st := newStore(t)
	res := mustImport(t, st, dir, nil)
	if want := fmt.Sprintf("Migrated %d providers, %d tokens", n, n); res.String() != want {
		t.Errorf("%q, want %q", res, want)
	}
	if again := mustImport(t, st, dir, nil); again.Changes() != 0 {
		t.Errorf("%d changes", again.Changes())
	}
	if _, err := transfer.Verify(context.Background(), st, dir, nil); err != nil {
		t.Error(err)
	}
}

func BenchmarkTransfer(b *testing.B) {
	ctx := context.Background()
	dir := bigDir(b, 100_000)
	st := poolkeeper.New(memstore.New(nil), nil)
	if _, err := transfer.Import(ctx, st, dir, nil); err != nil {
		b.Fatal(err)
	}
	b.Run("ReadDir", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := configdir.ReadDir(ctx, dir, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Import", func(b *testing.B) {
		for b.Loop() {
			if _, err := transfer.Import(ctx, poolkeeper.New(memstore.New(nil), nil), dir, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("ImportAgain", func(b *testing.B) {
		for b.Loop() {
			if _, err := transfer.Import(ctx, st, dir, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Verify", func(b *testing.B) {
		for b.Loop() {
			if _, err := transfer.Verify(ctx, st, dir, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("WriteDir", func(b *testing.B) {
		snap, _ := st.Snapshot(ctx)
		for b.Loop() {
			if _, err := configdir.WriteDir(ctx, filepath.Join(b.TempDir(), "configs"), snap, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}
