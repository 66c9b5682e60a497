package storetest

import (
	"errors"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// wantToken fails where the token of a provider is not as given.
func wantToken(f *fixture, s *poolkeeper.Store, r poolkeeper.Ref, want string) {
	f.Helper()
	got, err := s.Token(f.ctx, r)
	if want == "" {
		if !errors.Is(err, poolkeeper.ErrNotFound) {
			f.Errorf("token of %s: %s, error %v; want %v", r, got.Data, err, poolkeeper.ErrNotFound)
		}
		return
	}
	if err != nil || string(got.Data) != want {
		f.Errorf("token of %s: %s, error %v; want %s", r, got.Data, err, want)
	}
}

// must ends the test where a call of a Store fails.
func must(f *fixture) func(poolkeeper.Result, error) poolkeeper.Result {
	return func(res poolkeeper.Result, err error) poolkeeper.Result {
		f.Helper()
		if err != nil {
			f.Fatal(err)
		}
		return res
	}
}

var tokenCases = []testCase{
	{"a token is kept to the byte and patched field by field", func(t *testing.T, h Harness) {
		f := start(t, h)
		s, a := f.store(), ref("t", "a")
		f.do(add(a, ""))
		wantToken(f, s, a, "")
		must(f)(s.PutToken(f.ctx, a, []byte(`{"expiry_date": 1.78e12 ,"x":[]}`), poolkeeper.IfAbsent))
		must(f)(s.PatchToken(f.ctx, a, poolkeeper.MergePatch, []byte(`{"x":"FAKE"}`), poolkeeper.Always))
		wantToken(f, s, a, `{"expiry_date": 1.78e12 ,"x":"FAKE"}`)
		must(f)(s.DeleteToken(f.ctx, a, poolkeeper.Always))
		wantToken(f, s, a, "")
		if _, err := s.PutToken(f.ctx, ref("t", "b"), []byte("{}"), poolkeeper.Always); !errors.Is(err, poolkeeper.ErrNotFound) {
			t.Errorf("the token of no provider: error %v", err)
		}
	}},
	{"the result of a refresh applies only on top of what it came from", func(t *testing.T, h Harness) {
		f := start(t, h)
		key := poolkeeper.TokenKey(ref("t", "a"))
		for _, c := range []struct{ stored, patch, want string }{
			{`{"refreshToken": "r1","n":1}`, `{"refreshToken":"r2"}`, `{"refreshToken": "r2","n":1}`},
			{`{"refresh_token":"r\u0031","n":1}`, `{"refresh_token":"r2"}`, `{"refresh_token":"r2","n":1}`},
		} {
			f.do(poolkeeper.Op{Kind: poolkeeper.OpPut, Key: key, Data: []byte(c.stored)})
			from, ok := poolkeeper.RefreshTokenHash([]byte(c.stored))
			if !ok {
				t.Fatalf("%s has no refresh token", c.stored)
			}
			op := poolkeeper.Op{Kind: poolkeeper.OpPatch, Key: key, Patch: poolkeeper.MergePatch, Data: []byte(c.patch), From: from}
			f.do(op)
			f.wantData(key, c.want)
			f.refuse(op, poolkeeper.ErrConflict)
			f.wantData(key, c.want)
		}
		f.refuse(poolkeeper.Op{Kind: poolkeeper.OpPut, Key: key, Data: []byte(`{}`), From: "x"}, poolkeeper.ErrInvalid)
	}},
	{"providers that name one file share one token", func(t *testing.T, h Harness) {
		f := start(t, h)
		s := f.store()
		a, b, c, other := ref("t", "a"), ref("u", "b"), ref("t", "c"), ref("t", "other")
		f.do(add(a, `"KIRO_OAUTH_CREDS_FILE_PATH":"./configs/./k//../k/1.json"`), add(b, `"GEMINI_OAUTH_CREDS_FILE_PATH":"configs/k/1.json"`),
			add(other, `"KIRO_OAUTH_CREDS_FILE_PATH":"configs/k/2.json"`))
		must(f)(s.PutToken(f.ctx, b, []byte(`{"n":1}`), poolkeeper.Always))
		wantToken(f, s, a, `{"n":1}`)
		wantToken(f, s, other, "")
		must(f)(s.PutToken(f.ctx, a, []byte(`{"n":2}`), poolkeeper.If(poolkeeper.ETag([]byte(`{"n":1}`)))))
		wantToken(f, s, b, `{"n":2}`)
		f.do(add(c, `"KIRO_OAUTH_CREDS_FILE_PATH":"configs/k/1.json"`))
		wantToken(f, s, c, `{"n":2}`)
		if got, err := s.Token(f.ctx, c); err != nil || got.Owner != b || got.Path != "configs/k/1.json" {
			t.Errorf("owner %s, path %q, error %v", got.Owner, got.Path, err)
		}
		if n := len(f.load(poolkeeper.Key{Kind: poolkeeper.KindToken}).Values); n != 1 {
			t.Errorf("%d tokens are stored, want 1", n)
		}
	}},
	{"a refused token leaves nothing behind", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		f.do(add(a, `"X_TOKEN_FILE_PATH":"configs/x.json"`))
		before := f.load()
		for _, cond := range []poolkeeper.If{poolkeeper.IfPresent, "nonsense"} {
			if _, err := f.store().PutToken(f.ctx, a, []byte("{}"), cond); !errors.Is(err, poolkeeper.ErrConflict) {
				t.Errorf("if %q: error %v, want %v", cond, err, poolkeeper.ErrConflict)
			}
		}
		f.same(before, "after refused puts")
	}},
	{"a token moves with a rename", func(t *testing.T, h Harness) {
		f := start(t, h)
		s, a := f.store(), ref("t", "a")
		f.do(add(a, ""))
		must(f)(s.PutToken(f.ctx, a, []byte(`{"n":1}`), poolkeeper.Always))
		must(f)(s.RenameProvider(f.ctx, a, "b", poolkeeper.Always))
		wantToken(f, s, ref("t", "b"), `{"n":1}`)
		wantToken(f, s, a, `{"n":1}`)
		must(f)(s.PutToken(f.ctx, a, []byte(`{"n":2}`), poolkeeper.Always)) // under the old id
		must(f)(s.RenameProvider(f.ctx, ref("t", "b"), "c", poolkeeper.Always))
		wantToken(f, s, ref("t", "c"), `{"n":2}`)
		if keys := f.load(poolkeeper.Key{Kind: poolkeeper.KindToken}).KeysOf(poolkeeper.KindToken); len(keys) != 1 || keys[0].Name != "c" {
			t.Errorf("tokens %v, want that of c alone", keys)
		}
	}},
	{"a token moves with a rename under an old id", func(t *testing.T, h Harness) {
		f := start(t, h)
		s, a := f.store(), ref("t", "a")
		f.do(add(a, ""))
		must(f)(s.PutToken(f.ctx, a, []byte(`{"n":1}`), poolkeeper.Always))
		must(f)(s.RenameProvider(f.ctx, a, "b", poolkeeper.Always))
		must(f)(s.RenameProvider(f.ctx, a, "c", poolkeeper.Always))
		for _, id := range []string{"a", "b", "c"} {
			wantToken(f, s, ref("t", id), `{"n":1}`)
		}
	}},
	{"a rename that was cut off is completed by calling it again", func(t *testing.T, h Harness) {
		f := start(t, h)
		s, a := f.store(), ref("t", "a")
		f.do(add(a, ""), putValue(poolkeeper.TokenKey(a), `{"n":1}`), rename(a, "b")) // the token stayed behind
		must(f)(s.RenameProvider(f.ctx, a, "b", poolkeeper.Always))
		wantToken(f, s, ref("t", "b"), `{"n":1}`)
		if _, ok := f.load(poolkeeper.TokenKey(a)).Token(a); ok {
			t.Error("the token is still stored under the old id")
		}
	}},
	{"a shared token follows its owner", func(t *testing.T, h Harness) {
		f := start(t, h)
		s, a, b := f.store(), ref("t", "a"), ref("t", "b")
		f.do(add(a, `"X_TOKEN_FILE_PATH":"configs/x.json"`), add(b, `"X_TOKEN_FILE_PATH":"configs/x.json"`))
		must(f)(s.PutToken(f.ctx, a, []byte(`{"n":1}`), poolkeeper.Always))
		must(f)(s.RenameProvider(f.ctx, a, "c", poolkeeper.Always))
		wantToken(f, s, b, `{"n":1}`)
		wantToken(f, s, ref("t", "c"), `{"n":1}`)
		must(f)(s.PutToken(f.ctx, b, []byte(`{"n":2}`), poolkeeper.Always))
		wantToken(f, s, ref("t", "c"), `{"n":2}`)
	}},
	{"a refused rename leaves the tokens", func(t *testing.T, h Harness) {
		f := start(t, h)
		s, a, b := f.store(), ref("t", "a"), ref("t", "b")
		f.do(add(a, ""), add(b, ""))
		must(f)(s.PutToken(f.ctx, a, []byte(`{"n":1}`), poolkeeper.Always))
		before := f.load()
		if _, err := s.RenameProvider(f.ctx, a, "b", poolkeeper.Always); !errors.Is(err, poolkeeper.ErrExists) {
			t.Errorf("rename to a taken id: error %v", err)
		}
		if _, err := s.RenameProvider(f.ctx, a, "c", "nonsense"); !errors.Is(err, poolkeeper.ErrConflict) {
			t.Errorf("rename with a wrong condition: error %v", err)
		}
		must(f)(s.PutToken(f.ctx, b, []byte(`{"n":2}`), poolkeeper.Always))
		if _, err := s.RenameProvider(f.ctx, a, "b", poolkeeper.Always); !errors.Is(err, poolkeeper.ErrExists) {
			t.Errorf("rename to a taken id with a token: error %v", err)
		}
		must(f)(s.DeleteToken(f.ctx, b, poolkeeper.Always))
		f.same(before, "after refused renames")
	}},
	{"a provider without a uuid gets one", func(t *testing.T, h Harness) {
		f := start(t, h)
		res := must(f)(f.store().AddProvider(f.ctx, "t", []byte(`{"n":1.0,"uuid":null}`)))
		p := f.provider(ref("t", res.ID))
		if id, ok := poolkeeper.UsableUUID(p.Definition); !ok || id != res.ID || len(id) != 36 || !strings.HasPrefix(string(p.Definition), `{"n":1.0,`) {
			t.Errorf("id %q, definition %s", res.ID, p.Definition)
		}
	}},
	{"errors count against the configured threshold", func(t *testing.T, h Harness) {
		f := start(t, h)
		s, a := f.store(), ref("t", "a")
		f.do(add(a, ""), putValue(poolkeeper.ConfigKey, `{"MAX_ERROR_COUNT":2}`))
		for n, healthy := range []bool{true, false} {
			if res := must(f)(s.Error(f.ctx, a, poolkeeper.Failure{Message: "m"})); res.Count != int64(n+1) || res.Healthy != healthy {
				t.Errorf("error %d: count %d, healthy %v", n+1, res.Count, res.Healthy)
			}
		}
	}},
}
