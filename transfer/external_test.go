package transfer_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
	"github.com/poolkeeper/poolkeeper/transfer"
)

func TestImportExternal(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "x.json")
	if err := os.WriteFile(outside, []byte(`{"n":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := dirtest.WriteTree(t, map[string]string{"configs/provider_pools.json": `{"claude-kiro-oauth":[{"uuid":"a","KIRO_OAUTH_CREDS_FILE_PATH":"` + filepath.ToSlash(outside) + `"}]}`})
	st := newStore(t)
	token := func() string {
		d, _ := snapshot(t, st).Token(poolkeeper.Ref{Type: "claude-kiro-oauth", ID: "a"})
		return string(d.Data)
	}
	if mustImport(t, st, dir, nil); token() != "" {
		t.Fatalf("a file outside was read: %s", token())
	}
	allow := &transfer.ImportOptions{AllowExternal: true}
	if res := mustImport(t, st, dir, allow); token() != `{"n":1}` || res.Changes() != 2 {
		t.Errorf("token %s, %d changes", token(), res.Changes())
	}
	if _, err := transfer.Verify(t.Context(), st, dir, &transfer.VerifyOptions{AllowExternal: true}); err != nil {
		t.Error(err)
	}
	if res := mustImport(t, st, dir, allow); res.Changes() != 0 {
		t.Errorf("%d changes", res.Changes())
	}
	// What was not read is not known to be gone.
	if res := mustImport(t, st, dir, &transfer.ImportOptions{Mirror: true, Force: true}); res.Changes() != 0 || len(res.Kept) != 1 || token() == "" {
		t.Errorf("removed %v, kept %v", res.Removed, res.Kept)
	}
	if err := os.Remove(outside); err != nil {
		t.Fatal(err)
	}
	if res := mustImport(t, st, dir, &transfer.ImportOptions{Mirror: true, AllowExternal: true}); len(res.Removed) != 2 || token() != "" {
		t.Errorf("removed %v, token %s", res.Removed, token())
	}
}
