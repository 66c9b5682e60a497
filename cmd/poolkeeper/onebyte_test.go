package main

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
)

// mentions reports whether a text names a thing, quoted or not.
func mentions(text, name string) bool {
	return strings.Contains(text, name) || strings.Contains(text, strings.Trim(strconv.Quote(name), `"`))
}

// TestOneByteInDirectory changes one byte of each thing in a copy of a
// directory that was imported: verify must find it, and name the thing.
func TestOneByteInDirectory(t *testing.T) {
	t.Parallel()
	r, seed := standalone(t), testSeed(t)
	// In edge-bom no decoder finds a value to change.
	sources := slices.DeleteFunc(fixtureSources(t), func(s *source) bool { return s.name == "edge-bom" })
	for i, s := range append(sources, generated(t, seed, 1)) {
		t.Run(s.name, func(t *testing.T) {
			m := maker{rand.New(rand.NewPCG(seed, 100+uint64(i))), false}
			env := r.env(t, s.prefix(), s.configs())
			expect(t, env, 0, "", "import")
			snap, _, err := configdir.ReadDir(t.Context(), s.configs(), nil)
			if err != nil {
				t.Fatal(err)
			}
			root := t.TempDir()
			if err := os.CopyFS(root, os.DirFS(s.root)); err != nil {
				t.Fatal(err)
			}
			env["POOLKEEPER_CONFIG_DIR"] = filepath.Join(root, "configs")
			files := tree(t, root)
			try := func(p string, data []byte, what string, names ...string) {
				t.Helper()
				full := filepath.Join(root, filepath.FromSlash(p))
				if err := os.WriteFile(full, data, 0o600); err != nil {
					t.Fatal(err)
				}
				out := mustDiffer(t, env)
				if !slices.ContainsFunc(names, func(name string) bool { return mentions(out, name) }) {
					t.Errorf("%s: none of %q is named:\n%s", what, names, out)
				}
				if err := os.WriteFile(full, files[p], 0o600); err != nil {
					t.Fatal(err)
				}
			}
			n := 0
			for p, data := range files {
				if slices.Contains(s.transient, p) {
					continue
				}
				switch p {
				case "configs/provider_pools.json":
					n += flipPools(t, m, data, snap, func(changed []byte, what string, names ...string) { try(p, changed, what, names...) })
				case "configs/config.json":
					all := leaves(t, data)
					all = slices.DeleteFunc(all, func(l leaf) bool { return l.name() == "PROVIDER_POOLS_FILE_PATH" })
					l := pick(m, all...)
					try(p, flip(data, l), fmt.Sprintf("%s %v", p, l.path), p)
				case "configs/token-store.json":
					// Of a session that is alive the hash of its bearer is named.
					try(p, flipAny(m, data), p, p, "session ")
				default:
					try(p, flipAny(m, data), p, p)
				}
				n++
			}
			if n < len(s.files) {
				t.Errorf("only %d changes", n)
			}
			if out, _ := expect(t, env, 0, "", "verify"); !strings.HasPrefix(out, "Equal: ") {
				t.Errorf("as it was: %s", out)
			}
		})
	}
}

// flipPools changes, of each provider, a field of its definition, its uuid, its
// token paths and every counter.
func flipPools(t *testing.T, m maker, data []byte, snap *poolkeeper.Snapshot, try func(changed []byte, what string, names ...string)) (n int) {
	t.Helper()
	found := map[poolkeeper.Ref][]leaf{}
	for _, l := range leaves(t, data) {
		// Type, position, then the field, or what is in one.
		ref := snap.Pools[l.path[0].(string)].Providers[l.path[1].(int)].Ref
		found[ref] = append(found[ref], l)
	}
	for _, ref := range slices.SortedFunc(maps.Keys(found), func(a, b poolkeeper.Ref) int { return strings.Compare(a.String(), b.String()) }) {
		var fields, must []leaf
		for _, l := range found[ref] {
			field, _ := l.path[2].(string)
			_, runtime := poolkeeper.FieldNamed(field)
			switch {
			case runtime && bytes.ContainsAny(data[l.start:l.start+1], "-0123456789"), field == "uuid", poolkeeper.IsTokenPathField(field):
				must = append(must, l)
			case !runtime:
				fields = append(fields, l)
			}
		}
		if len(fields) > 0 {
			must = append(must, pick(m, fields...))
		}
		for _, l := range must {
			names := []string{ref.String()}
			field, _ := l.path[2].(string)
			if _, runtime := poolkeeper.FieldNamed(field); runtime {
				names = []string{ref.String() + " at /" + field}
			}
			try(flip(data, l), fmt.Sprint(l.path), names...)
			n++
		}
	}
	return n
}
