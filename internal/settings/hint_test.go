package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// TestHints has each setting wrong in each of its sources: the hint names the place,
// and what to write there is taken.
func TestHints(t *testing.T) {
	for _, c := range []struct {
		flag, env, config string // NAME=VALUE
		hint              string
	}{
		{flag: "redis-url=x", hint: "write --redis-url redis://localhost:6379/0, or leave it out"},
		{flag: "backend=x", hint: "write --backend auto, or leave it out"},
		{env: "REDIS_PORT=x", hint: "write REDIS_PORT=6379, or unset it"},
		{env: "REDIS_URL_FILE=BAD", hint: "write redis://localhost:6379/0 into the file that REDIS_URL_FILE names, or unset REDIS_URL_FILE"},
		{env: "REDIS_URL_FILE=/nowhere", hint: "write redis://localhost:6379/0 into the file that REDIS_URL_FILE names, or unset REDIS_URL_FILE"},
		{env: "POOLKEEPER_API_KEY=x", hint: "write POOLKEEPER_API_KEY=$(openssl rand -hex 32), or unset it"},
		{config: `{"redis":{"port":"x"}}`, hint: "write 6379 as port of redis in DIR/config.json, or take port out"},
		{config: `{"redis":{"enabled":"x"}}`, hint: "write true as enabled of redis in DIR/config.json, or take enabled out"},
		{config: `{"redis":{"keyPrefix":{}}}`, hint: `write "aiclient:" as keyPrefix of redis in DIR/config.json, or take keyPrefix out`},
		{config: `{"poolkeeper":{"addr":"x"}}`, hint: `write "127.0.0.1:8787" as addr of poolkeeper in DIR/config.json, or take addr out`},
	} {
		dir := t.TempDir()
		in := Input{Flags: map[string]string{"config-dir": dir}}
		if name, value, ok := strings.Cut(c.flag, "="); ok {
			in.Flags[name] = value
		}
		envName, envValue, _ := strings.Cut(c.env, "=")
		if envValue == "BAD" {
			envValue = filepath.Join(dir, "secret")
			if err := os.WriteFile(envValue, []byte("x\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		in.Env = func(name string) (string, bool) {
			if name == envName {
				return envValue, true
			}
			return "", false
		}
		if c.config != "" {
			if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(c.config), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := Resolve(in)
		if got := strings.ReplaceAll(poolkeeper.HintOf(err), dir, "DIR"); got != c.hint {
			t.Errorf("%+v: %v\n got %q\nwant %q", c, err, got, c.hint)
		}
	}
	// What is proposed is valid.
	for i := range table {
		r, d := &table[i], draft{}
		value := examples[r.name]
		if r.name == "apiKey" {
			value = strings.Repeat("0", 64)
		}
		if value == "" {
			value = r.def
		}
		if value == "" {
			continue
		}
		if err := r.set(&d, value); err != nil {
			t.Errorf("%s: %q is proposed: %v", r.name, value, err)
		}
	}
}
