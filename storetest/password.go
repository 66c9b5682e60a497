package storetest

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// verify asks whether a password is let in, and fails on any other answer.
func (f *fixture) verify(password string, want bool) {
	f.Helper()
	if ok, err := f.store().VerifyPassword(f.ctx, password); err != nil || ok != want {
		f.Errorf("password %q: let in %v, error %v; want %v", password, ok, err, want)
	}
}

var passwordCases = []testCase{
	{"without a password nothing is let in", func(t *testing.T, h Harness) {
		f := start(t, h)
		for _, p := range []string{"", " ", "admin", "admin123", "password", "undefined", "null", "\x00"} {
			f.verify(p, false)
		}
	}},
	{"a blank password never lets in", func(t *testing.T, h Harness) {
		f := start(t, h)
		for _, stored := range []string{"", " ", "\r\n", "\ufeff\u00a0"} {
			f.do(putValue(poolkeeper.PasswordKey, stored))
			for _, p := range []string{"", " ", stored, "admin123", "x"} {
				f.verify(p, false)
			}
		}
	}},
	{"a plain password is compared trimmed", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(putValue(poolkeeper.PasswordKey, "\ufeffpässwörd-密码 🔑\r\n"))
		f.verify("pässwörd-密码 🔑", true)
		f.verify(" pässwörd-密码 🔑\n", true)
		for _, p := range []string{"", "pässwörd-密码", "PÄSSWÖRD-密码 🔑", "admin123"} {
			f.verify(p, false)
		}
		f.wantData(poolkeeper.PasswordKey, "\ufeffpässwörd-密码 🔑\r\n")
	}},
	{"a password that is set is stored hashed", func(t *testing.T, h Harness) {
		f := start(t, h)
		const password = "FAKE correct horse"
		if _, err := f.store().SetPassword(f.ctx, " "+password+"\n"); err != nil {
			t.Fatal(err)
		}
		data := string(f.load(poolkeeper.PasswordKey).Values[poolkeeper.PasswordKey].Data)
		if strings.Contains(data, password) || !strings.HasPrefix(data, "pbkdf2:") {
			t.Error("the password is not stored hashed")
		}
		var wg sync.WaitGroup // hashing takes its time
		wg.Go(func() { f.verify(password, true) })
		wg.Go(func() { f.verify(password+"x", false) })
		wg.Wait()
	}},
	{"a damaged hash lets nothing in", func(t *testing.T, h Harness) {
		f := start(t, h)
		for _, stored := range []string{"pbkdf2:", "pbkdf2::", "pbkdf2:aa:", "pbkdf2:aa:bb", "pbkdf2::" + strings.Repeat("00", 64), "pbkdf2:aa:" + strings.Repeat("zz", 64)} {
			f.do(putValue(poolkeeper.PasswordKey, stored))
			f.verify(stored, false)
			f.verify("", false)
			f.verify("x", false)
		}
	}},
	{"a password that is too short is refused", func(t *testing.T, h Harness) {
		f := start(t, h)
		for _, p := range []string{"", "short", strings.Repeat(" ", 20), "elevenchars"} {
			if _, err := f.store().SetPassword(f.ctx, p); !errors.Is(err, poolkeeper.ErrInvalid) {
				t.Errorf("password %q: error %v, want %v", p, err, poolkeeper.ErrInvalid)
			}
		}
		f.same(poolkeeper.NewSnapshot(), "after refused passwords")
	}},
	{"a store that cannot be asked lets nobody in", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(putValue(poolkeeper.PasswordKey, "plain password"))
		f.b.Close()
		if ok, err := f.store().VerifyPassword(f.ctx, "plain password"); ok || err == nil {
			t.Errorf("let in %v, error %v", ok, err)
		}
	}},
}
