package transfer_test

import (
	"context"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/dirtest"
)

// refused are the variants of edge-pwd with which nobody may log in: there is
// no default password, and what is no hash verifies nothing.
var refused = map[string]bool{"absent": true, "empty": true, "blank": true, "pbkdf2-malformed": true}

// TestPasswords logs in with the password that EXPECTED.json says each variant
// has, and with what it must not have.
func TestPasswords(t *testing.T) {
	const hashed = "fixture-Passw0rd-long"
	cases := map[string]string{"typical": hashed, "typical-jan2026": "admin123", "edge": "pässwörd-密码 🔑", "edge-bom": "bom-password"}
	for variant, effective := range dirtest.Expected[map[string]string](t, "edge-pwd") {
		switch {
		case strings.HasPrefix(variant, "_"):
			continue
		case refused[variant]:
			effective = ""
		case strings.HasPrefix(effective, "hash of "):
			effective = hashed
		}
		cases["edge-pwd/"+variant] = effective
	}
	if len(cases) != 4+12 {
		t.Errorf("%d variants", len(cases))
	}
	for name, effective := range cases {
		st := imported(t, dirtest.Configs(name))
		wrong := []string{"", " ", "admin123", "123456", "null", "undefined"}
		for _, d := range dirtest.Tree(t, dirtest.Configs(name)) {
			if strings.HasPrefix(d, "pbkdf2:") { // the text of a hash is no password
				wrong = append(wrong, d)
			}
		}
		for _, password := range wrong {
			if ok, err := st.VerifyPassword(context.Background(), password); err != nil || ok && password != effective {
				t.Errorf("%s: %q lets in, or %v", name, password, err)
			}
		}
		if effective == "" {
			continue
		}
		for password, want := range map[string]bool{effective: true, " \ufeff" + effective + "\r\n": true, effective + "x": false, strings.ToUpper(effective): false} {
			if ok, err := st.VerifyPassword(context.Background(), password); err != nil || ok != want {
				t.Errorf("%s: %q verifies: %v, %v", name, password, ok, err)
			}
		}
	}
}
