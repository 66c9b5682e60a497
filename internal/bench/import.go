package bench

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/transfer"
)

// Names of the comparators of an import, which are plain loops: one HSET for each
// provider and one SET for each token, each sent when the one before it was
// answered; and the files alone, read and written one after the other, without a
// look at what they hold and without a sync. They say what the directory takes
// whoever reads or writes it.
const (
	CompareAwaited    = "awaited HSET and SET"
	CompareReadFiles  = "reading the files"
	CompareWriteFiles = "writing the files"
)

// importType is the type of the providers that are imported.
const importType = "claude-kiro-oauth"

// MakeDir makes a configs/ directory of n providers of about 500 bytes with a
// token of 1 KB each, as the gateway lays them out. It is the comparator
// [CompareWriteFiles].
func MakeDir(dir string, n int) (Row, error) {
	begin := now()
	err := makeDir(dir, n)
	return begin.row(CompareWriteFiles, 2*n), err
}

func makeDir(dir string, n int) (err error) {
	if err := os.MkdirAll(filepath.Join(dir, "kiro"), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, "provider_pools.json"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	w := bufio.NewWriter(f)
	fmt.Fprintf(w, "{\n  %q: [", importType)
	for i := range n {
		name := fmt.Sprintf("%013d_kiro-auth-token", i)
		sub := filepath.Join(dir, "kiro", name)
		if err := os.Mkdir(sub, 0o700); err != nil {
			return err
		}
		token := fmt.Sprintf(`{"accessToken":"FAKE-%d%s","refreshToken":"FAKE","expiresAt":"2030-01-01T00:00:00.000Z"}`, i, strings.Repeat("a", 900))
		if err := os.WriteFile(filepath.Join(sub, name+".json"), []byte(token), 0o600); err != nil {
			return err
		}
		if i > 0 {
			fmt.Fprint(w, ",")
		}
		fmt.Fprintf(w, `
    {
      "KIRO_OAUTH_CREDS_FILE_PATH": "./configs/kiro/%s/%s.json",
      "uuid": %q,
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
    }`, name, name, id(i), i)
	}
	fmt.Fprint(w, "\n  ]\n}")
	return w.Flush()
}

// ReadFiles is the comparator [CompareReadFiles].
func ReadFiles(dir string) (Row, error) {
	begin, files := now(), 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		_, err = os.ReadFile(path)
		return err
	})
	return begin.row(CompareReadFiles, 2*(files-1)), err // one of them has all providers
}

// Import measures an import of a directory into an empty store, which reads the
// directory and verifies the store at the end, a verification by itself, and an
// export; before them, what such an import writes, into another empty store.
// Records are the providers and the tokens.
func Import(ctx context.Context, st, other *poolkeeper.Store, dir, out string) ([]Row, error) {
	snap, report, err := configdir.ReadDir(ctx, dir, nil)
	if err != nil {
		return nil, err
	}
	var rows []Row
	records := report.Providers + report.Tokens
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"writing alone", func() error {
			err := other.Restore(ctx, snap)
			snap = nil
			return err
		}},
		{"import", func() error {
			_, err := transfer.Import(ctx, st, dir, nil)
			return err
		}},
		{"verify", func() error {
			_, err := transfer.Verify(ctx, st, dir, nil)
			return err
		}},
		{"export", func() error {
			snap, err := st.Snapshot(ctx)
			if err == nil {
				_, err = configdir.WriteDir(ctx, out, snap, nil)
			}
			return err
		}},
	} {
		begin := now()
		if err := step.do(); err != nil {
			return nil, err
		}
		row := begin.row(fmt.Sprintf("%s, %d providers and tokens", step.what, records/2), records)
		row.Providers = records / 2
		rows = append(rows, row)
	}
	return rows, nil
}

// CompareImport writes what a directory has by the loop that [CompareAwaited]
// names. Reading the directory is not counted.
func (s *Side) CompareImport(ctx context.Context, dir string) (Row, error) {
	snap, _, err := configdir.ReadDir(ctx, dir, nil)
	if err != nil {
		return Row{}, err
	}
	c, release := s.client.Dedicate() // one connection, without pipelining
	defer release()
	begin, records := now(), 0
	for _, typ := range snap.Types {
		for i := range snap.Pools[typ].Providers {
			p := &snap.Pools[typ].Providers[i]
			token, _ := snap.Token(p.Ref)
			err := c.Do(ctx, c.B().Hset().Key(s.prefix+"awaited:pools:"+typ).FieldValue().FieldValue(p.ID, string(p.Definition)).Build()).Error()
			if err == nil {
				err = c.Do(ctx, c.B().Set().Key(s.prefix+"awaited:tokens:"+typ+":"+p.ID).Value(string(token.Data)).Build()).Error()
			}
			if err != nil {
				return Row{}, poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the loop of awaited commands failed")
			}
			records += 2
		}
	}
	return begin.row(CompareAwaited, records), nil
}

// A moment is the start of something that is measured as a whole.
type moment struct {
	at  time.Time
	cpu time.Duration
}

func now() moment {
	cpu, _ := Used()
	return moment{time.Now(), cpu}
}

// row is about what was done to some records since the moment.
func (m moment) row(what string, records int) Row {
	took := time.Since(m.at).Seconds()
	cpu, _ := Used()
	return Row{What: what, Callers: 1, PerSecond: float64(records) / took, Seconds: took, CPU: (cpu - m.cpu).Seconds()}
}

// Compare sets what a row is beside others.
func (r *Row) Compare(with ...Row) {
	for _, c := range with {
		if r.Ratios == nil {
			r.Ratios = map[string]float64{}
		}
		r.Ratios[c.What] = float64(int64(100*r.PerSecond/c.PerSecond+0.5)) / 100
	}
}
