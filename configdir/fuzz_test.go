package configdir

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// FuzzPools parses anything as provider_pools.json. What is taken must come
// out again as the same tokens, in the application's style.
func FuzzPools(f *testing.F) {
	paths, err := filepath.Glob("../testdata/fixtures/broken/*/configs/provider_pools.json")
	if err != nil || len(paths) < 10 {
		f.Fatalf("%d seeds, %v", len(paths), err)
	}
	for _, p := range append(paths, "../testdata/fixtures/edge/configs/provider_pools.json", "../testdata/fixtures/edge-bom/configs/provider_pools.json") {
		if data, err := os.ReadFile(p); err == nil && len(data) < 1<<16 {
			f.Add(data)
		}
	}
	f.Add([]byte(`{"a":[{"uuid":"1"},{"uuid":"1"},{}],"a":[],"\u0061":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		report := &Report{}
		pools, err := parsePools(data, report)
		if err != nil {
			if !errors.Is(err, poolkeeper.ErrInvalid) && !errors.Is(err, poolkeeper.ErrTooLarge) {
				t.Fatalf("error of no class: %v", err)
			}
			return
		}
		out, err := formatPools(pools)
		if err != nil {
			t.Fatalf("what was parsed cannot be written: %v", err)
		}
		again, err := parsePools(out, &Report{})
		if err != nil {
			t.Fatalf("what was written cannot be parsed: %v", err)
		}
		twice, err := formatPools(again)
		if err != nil || !bytes.Equal(out, twice) {
			t.Fatal("the format is not stable")
		}
		in, _ := rawjson.StripBOM(data)
		if !strings.Contains(string(in), `\`) && len(report.Warnings) == 0 && !rawjson.EqualTokens(in, out) {
			t.Fatal("the tokens differ")
		}
		check := newChecker(report)
		for _, p := range pools {
			if err := poolkeeper.ValidateType(p.typ); err != nil {
				t.Fatal(err)
			}
			pool := check.pool(p)
			seen := map[string]bool{}
			for i := range pool.Providers {
				q := &pool.Providers[i]
				if err := poolkeeper.ValidateDefinition(q.Definition); err != nil || q.Validate() != nil || seen[q.ID] {
					t.Fatalf("provider %d: %v", i, err)
				}
				seen[q.ID] = true
				check.definition(p.typ, i, q.Definition)
			}
		}
	})
}

// FuzzTokenStore puts sessions into anything.
func FuzzTokenStore(f *testing.F) {
	f.Add([]byte(`{"tokens":{"a":{"expiryTime":"1"},"b":null,"c":{}},"x":1}`), "c")
	f.Add([]byte(`{"tokens":[]}`), "")
	f.Add([]byte("\xef\xbb\xbf{}"), "b")
	f.Fuzz(func(t *testing.T, doc []byte, bearer string) {
		const now = 1_780_000_000_000
		s := readTokenStore(doc, now)
		if out, there, replaced := composeTokenStore(doc, true, s.live, now); !there || replaced || !bytes.Equal(out, doc) {
			t.Fatal("a document with its own sessions changed")
		}
		if bearer == "" || len(bearer) > maxBearer || !bytes.Equal([]byte(bearer), bytes.ToValidUTF8([]byte(bearer), nil)) {
			return
		}
		live := map[string]session{bearer: {bearer, []byte(`{"username":"x"}`), 0}}
		out, there, _ := composeTokenStore(doc, true, live, now)
		if !there || rawjson.Valid(out) != nil {
			t.Fatal("no valid document")
		}
		if got := readTokenStore(out, now); !sameSessions(got.live, live) {
			t.Fatalf("%d sessions", len(got.live))
		}
	})
}
