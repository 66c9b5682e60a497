package transfer_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
	"github.com/poolkeeper/poolkeeper/transfer"
)

// TestVerdicts imports every directory there is. A refusal writes nothing, into
// an empty store or a live one; what is taken is verified, also against its
// export, and a second import of it changes nothing.
func TestVerdicts(t *testing.T) {
	ctx := context.Background()
	live := imported(t, dirtest.Configs("typical"))
	want := snapshot(t, live)
	for _, c := range dirtest.Cases(t, dirtest.Fixtures) {
		if c.Big && testing.Short() {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			dir, st := c.Dir(t), newStore(t)
			res, err := transfer.Import(ctx, st, dir, nil)
			if c.Code != "" {
				if code := poolkeeper.ClassOf(err).Code; code != c.Code || !strings.Contains(err.Error(), c.Says) {
					t.Errorf("code %s, want %s and %q: %v", code, c.Code, c.Says, err)
				}
				if _, err := st.Snapshot(ctx); !errors.Is(err, poolkeeper.ErrUninitialized) {
					t.Errorf("something was written: %v", err)
				}
				if _, err := transfer.Import(ctx, live, dir, &transfer.ImportOptions{Force: true}); err == nil {
					t.Error("a live store took it")
				}
				dirtest.SameState(t, want, snapshot(t, live))
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(res.Report.Warnings) != len(c.Notes) {
				t.Errorf("%d warnings, want %d", len(res.Report.Warnings), len(c.Notes))
			}
			out, _ := write(t, snapshot(t, st))
			for _, d := range []string{dir, out} {
				if _, err := transfer.Verify(ctx, st, d, nil); err != nil {
					t.Error(err)
				}
				// An export makes a file of a link to pwd, and that can be a token.
				if again := mustImport(t, st, d, nil); again.Changes() != 0 && (c.Name != "link-reserved" || d == dir) {
					t.Errorf("a second import: added %v, changed %v", again.Added, again.Changed)
				}
			}
		})
	}
}
