package snapshot

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/vfs"
)

// many is n providers of one type with a token each.
func many(n int) *poolkeeper.Snapshot {
	s := poolkeeper.NewSnapshot()
	s.Meta["epoch"] = "e"
	rev := poolkeeper.Revision{Number: 1, Writer: "w", Seq: 1}
	p := &poolkeeper.Pool{Type: "claude-kiro-oauth", Revision: rev, Structure: rev}
	for i := range n {
		id := fmt.Sprintf("%08x-0000-4000-8000-%012x", i, i)
		at := "configs/kiro/" + id + "/token.json"
		one := poolkeeper.Provider{Ref: poolkeeper.Ref{Type: p.Type, ID: id},
			Definition: fmt.Appendf(nil, `{"customName":"account %d","KIRO_OAUTH_CREDS_FILE_PATH":%q,"uuid":%q,"checkModelName":"claude-haiku-4-5","checkHealth":true,"notSupportedModels":["a","b","c"],"isHealthy":true,"isDisabled":false,"lastUsed":null,"usageCount":0,"errorCount":0,"lastErrorTime":null,"queueLimit":0,"concurrencyLimit":0,"note":%q}`, i, at, id, strings.Repeat("n", 100))}
		one.State.Set(poolkeeper.UsageCount, fmt.Sprint(i))
		one.State.Set(poolkeeper.LastUsed, `"2026-01-01T00:00:00.000Z"`)
		one.State.Set(poolkeeper.IsHealthy, "true")
		p.Providers = append(p.Providers, one)
		token := fmt.Sprintf(`{"accessToken":%q,"refreshToken":%q,"expiresAt":"2026-01-01T00:00:00.000Z","n":%d}`, strings.Repeat("a", 700), strings.Repeat("r", 300), i)
		s.Values[poolkeeper.TokenKey(one.Ref)] = poolkeeper.Document{Data: []byte(token), Revision: rev}
		s.Values[poolkeeper.TokenRefKey(at)] = poolkeeper.Document{Data: poolkeeper.EncodeTokenOwner(one.Ref), Revision: rev}
	}
	s.AddPool(p)
	return s
}

// copied is what a replica gives for the same state: pools of its own.
func copied(s *poolkeeper.Snapshot) *poolkeeper.Snapshot {
	next := poolkeeper.NewSnapshot()
	next.Meta, next.Types = s.Meta, s.Types
	for typ, p := range s.Pools {
		one := *p
		one.Providers = append([]poolkeeper.Provider(nil), p.Providers...)
		next.Pools[typ] = &one
	}
	for k, d := range s.Values {
		next.Values[k] = d
	}
	return next
}

func BenchmarkWriteAll(b *testing.B) {
	snap := many(10_000)
	for i := 0; b.Loop(); i++ {
		if _, err := Write(context.Background(), filepath.Join(b.TempDir(), fmt.Sprint(i)), snap, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWriteOne writes after one change: of the runtime state of a provider, or of
// a token, with and without a look at each file.
func BenchmarkWriteOne(b *testing.B) {
	for _, what := range []string{"nothing", "count", "token", "count-all"} {
		b.Run(what, func(b *testing.B) {
			snap := many(10_000)
			w, err := openWriter(b.TempDir(), &WriteOptions{})
			if err != nil {
				b.Fatal(err)
			}
			defer w.close()
			if _, err := w.write(context.Background(), snap, false, true); err != nil {
				b.Fatal(err)
			}
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				next := copied(snap)
				one := &next.Pools[next.Types[0]].Providers[i%10_000]
				switch what {
				case "count", "count-all":
					one.State.Set(poolkeeper.UsageCount, fmt.Sprint(20_000+i))
				case "token":
					next.Values[poolkeeper.TokenKey(one.Ref)] = poolkeeper.Document{Data: fmt.Appendf(nil, `{"n":%d}`, i)}
				}
				snap = next
				b.StartTimer()
				if _, err := w.write(context.Background(), next, false, what == "count-all"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	dir := b.TempDir()
	if _, err := Write(context.Background(), dir, many(10_000), nil); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := Load(context.Background(), dir); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen is what the first write of a process costs beside the others.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	snap := many(10_000)
	if _, err := Write(context.Background(), dir, snap, nil); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		fsys, err := vfs.Open(dir)
		if err != nil {
			b.Fatal(err)
		}
		w, err := openWriter(dir, &WriteOptions{FS: fsys})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := w.write(context.Background(), snap, false, true); err != nil {
			b.Fatal(err)
		}
		w.close()
	}
}
