package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// sources is one set of what Resolve is told.
type sources struct {
	flags  map[string]string
	env    map[string]string
	config string // content of config.json; empty: no file
}

func (s sources) resolve(t *testing.T) (*Settings, error) {
	t.Helper()
	dir := t.TempDir()
	if s.config != "" {
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(s.config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	flags := map[string]string{"config-dir": dir}
	for k, v := range s.flags {
		flags[k] = v
	}
	return Resolve(Input{Flags: flags, Env: func(name string) (string, bool) { v, ok := s.env[name]; return v, ok }})
}

func (s sources) must(t *testing.T) *Settings {
	t.Helper()
	got, err := s.resolve(t)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (s *Settings) entry(name string) Entry {
	for _, e := range s.entries {
		if e.Name == name {
			return e
		}
	}
	return Entry{}
}

func TestDefaults(t *testing.T) {
	s, err := Resolve(Input{Env: func(name string) (string, bool) {
		if name == "HOME" {
			return "/home/x", true
		}
		return "", false
	}})
	if err != nil {
		t.Fatal(err)
	}
	if s.Backend != BackendFile || s.ConfigDir != "./configs" || s.StateDir != "/home/x/.local/state/poolkeeper" ||
		s.Addr != "127.0.0.1:8787" || !s.APIKey.IsZero() || s.LogLevel != slog.LevelInfo || s.LogFormat != "" {
		t.Errorf("got %+v", s)
	}
	r := s.Redis
	if r.Enabled || r.URL.Reveal() != "redis://localhost:6379/0" || r.KeyPrefix != "aiclient:" ||
		r.ConnectTimeout != 5*time.Second || r.CommandTimeout != time.Second {
		t.Errorf("got %+v", r)
	}
	for _, e := range s.Entries() {
		if e.Source != "default" {
			t.Errorf("%s has source %s", e.Name, e.Source)
		}
	}
}

// TestEverySource sets each setting in each of its sources, all lower ones
// being set to something else.
func TestEverySource(t *testing.T) {
	values := map[string][4]string{ // flag, environment, file of the environment, config.json
		"backend":                {"redis"},
		"stateDir":               {"/s0", "/s1", "", "/s2"},
		"addr":                   {"127.0.0.1:1", "127.0.0.1:2", "", "127.0.0.1:3"},
		"allowedHosts":           {"a.example", "b.example,10.1.1.1", "", "c.example, [2001:db8::1]"},
		"apiKey":                 {"", "environment-key-16", "a-key-from-a-file-16", "config-json-key-16"},
		"logLevel":               {"debug", "warn", "", "error"},
		"logFormat":              {"", "text", "", "json"},
		"journal":                {"", "memory", "", "disk"},
		"journalMaxBytes":        {"", "1048576", "", "3GiB"},
		"journalOverflow":        {"", "drop-oldest", "", "reject"},
		"fallbackAfter":          {"", "2m", "", "90s"},
		"durability":             {"", "replicated", "", "primary"},
		"redis.enabled":          {"", "true", "", "false"},
		"redis.url":              {"redis://flag", "rediss://env", "redis://file", "unix:///config"},
		"redis.host":             {"", "h1", "", "h2"},
		"redis.port":             {"", "1111", "", "2222"},
		"redis.username":         {"", "u1", "", "u2"},
		"redis.password":         {"", "p1", "p2", "p3"},
		"redis.sentinelUsername": {"", "u1", "", "u2"},
		"redis.sentinelPassword": {"", "p1", "p2", "p3"},
		"redis.tlsCaFile":        {"/f0", "/f1", "", "/f2"},
		"redis.tlsCertFile":      {"", "/f1", "", "/f2"},
		"redis.tlsKeyFile":       {"", "/f1", "", "/f2"},
		"redis.tlsServerName":    {"", "n1", "", "n2"},
		"redis.db":               {"", "1", "", "2"},
		"redis.keyPrefix":        {"a:", "b:", "", "c:"},
		"redis.connectTimeout":   {"", "11", "", "12"},
		"redis.commandTimeout":   {"", "11", "", "12"},
	}
	for i := range table {
		r := table[i]
		if r.name == "configDir" {
			continue
		}
		v, ok := values[r.name]
		if !ok {
			t.Errorf("no case for %s", r.name)
			continue
		}
		secretFile := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(secretFile, []byte(v[2]+"\r\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		config := fmt.Sprintf(`{%q: {%q: %q}}`, r.section, r.key, v[3])
		check := func(src sources, source, value string) {
			t.Helper()
			s := src.must(t)
			e := s.entry(r.name)
			if r.show != nil {
				value = r.show(value)
			}
			if e.Source != source || e.Value != value {
				t.Errorf("%s: got %q from %s, want %q from %s", r.name, e.Value, e.Source, value, source)
			}
		}
		if r.key != "" {
			check(sources{config: config}, "config.json "+r.section+"."+r.key, v[3])
		}
		if r.env != "" {
			check(sources{config: config, env: map[string]string{r.env: v[1]}}, "environment "+r.env, v[1])
		}
		if r.file {
			check(sources{config: config, env: map[string]string{r.env + "_FILE": secretFile}}, "environment "+r.env+"_FILE", v[2])
			_, err := sources{env: map[string]string{r.env: v[1], r.env + "_FILE": secretFile}}.resolve(t)
			if !errors.Is(err, poolkeeper.ErrInvalid) || !strings.Contains(err.Error(), r.env+" and "+r.env+"_FILE are both set") {
				t.Errorf("%s: both set: %v", r.name, err)
			}
		}
		if r.flag != "" {
			src := sources{config: config, flags: map[string]string{r.flag: v[0]}, env: map[string]string{}}
			if r.env != "" {
				src.env[r.env] = v[1]
			}
			check(src, "flag --"+r.flag, v[0])
		}
	}
}

func TestAllowedHosts(t *testing.T) {
	type m = map[string]string
	for want, src := range map[string]sources{
		"[]":                            {config: `{"poolkeeper":{"allowedHosts":[]}}`},
		"[a.example]":                   {config: `{"poolkeeper":{"allowedHosts":["a.example"]}}`},
		"[b.example 2001:db8::1]":       {config: `{"poolkeeper":{"allowedHosts":["b.example","2001:db8::1"]}}`},
		"[c.example]":                   {config: `{"poolkeeper":{"allowedHosts":"c.example"}}`},
		"[d.example x_y [2001:db8::1]]": {env: m{"POOLKEEPER_ALLOWED_HOSTS": "d.example, x_y,[2001:db8::1]"}, config: `{"poolkeeper":{"allowedHosts":["a.example"]}}`},
		"[E.example]":                   {flags: m{"allowed-host": "E.example"}, env: m{"POOLKEEPER_ALLOWED_HOSTS": "d.example"}},
	} {
		if got := fmt.Sprint(src.must(t).AllowedHosts); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	const rule = "must be host names or IP addresses without a port, separated by commas"
	for _, bad := range []string{"*", "*.example", "a.example:443", "http://a.example", "a.example/x", "a..example,", ",", "a,,b", "a b", "0.0.0.0", "[::]", "-a", "[::1]:80", strings.Repeat("x", 254), "a\nb"} {
		_, err := sources{env: m{"POOLKEEPER_ALLOWED_HOSTS": bad}}.resolve(t)
		if !errors.Is(err, poolkeeper.ErrInvalid) || !strings.Contains(err.Error(), "environment POOLKEEPER_ALLOWED_HOSTS: "+rule) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for config, want := range map[string]string{
		`{"poolkeeper":{"allowedHosts":[1]}}`:   "config.json poolkeeper.allowedHosts: must be an array of strings",
		`{"poolkeeper":{"allowedHosts":{}}}`:    "config.json poolkeeper.allowedHosts: must be a string or an array of strings",
		`{"poolkeeper":{"allowedHosts":["*"]}}`: "config.json poolkeeper.allowedHosts: " + rule,
		`{"poolkeeper":{"addr":["a:1"]}}`:       "config.json poolkeeper.addr: must be a string, a number or a boolean",
	} {
		if _, err := (sources{config: config}).resolve(t); !errors.Is(err, poolkeeper.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", config, err)
		}
	}
}

func TestWhichStore(t *testing.T) {
	type m = map[string]string
	for name, c := range map[string]struct {
		sources
		backend, url, user, password string
	}{
		"nothing":                      {sources{}, "file", "redis://localhost:6379/0", "", ""},
		"url":                          {sources{env: m{"REDIS_URL": "redis://a"}}, "redis", "redis://a", "", ""},
		"host":                         {sources{env: m{"REDIS_HOST": "h", "REDIS_DB": "3"}}, "redis", "redis://h:6379/3", "", ""},
		"host is IPv6":                 {sources{env: m{"REDIS_HOST": "::1"}}, "redis", "redis://[::1]:6379/0", "", ""},
		"enabled alone":                {sources{env: m{"REDIS_ENABLED": "yes"}}, "redis", "redis://localhost:6379/0", "", ""},
		"url, not enabled":             {sources{env: m{"REDIS_URL": "redis://a", "REDIS_ENABLED": "false"}}, "file", "redis://a", "", ""},
		"config has url, not enabled":  {sources{config: `{"redis":{"url":"redis://a","enabled":false}}`}, "file", "redis://a", "", ""},
		"url beats enabled of config":  {sources{env: m{"REDIS_URL": "redis://a"}, config: `{"redis":{"enabled":false}}`}, "redis", "redis://a", "", ""},
		"flag beats all":               {sources{flags: m{"redis-url": "redis://f"}, env: m{"REDIS_ENABLED": "0"}}, "redis", "redis://f", "", ""},
		"backend file":                 {sources{flags: m{"backend": "file"}, env: m{"REDIS_URL": "redis://a"}}, "file", "redis://a", "", ""},
		"backend memory":               {sources{flags: m{"backend": "memory"}, env: m{"REDIS_URL": "redis://a"}}, "memory", "redis://a", "", ""},
		"backend redis":                {sources{flags: m{"backend": "redis"}}, "redis", "redis://localhost:6379/0", "", ""},
		"host beats url of config":     {sources{env: m{"REDIS_HOST": "h"}, config: `{"redis":{"url":"redis://a"}}`}, "redis", "redis://h:6379/0", "", ""},
		"url beats host":               {sources{env: m{"REDIS_HOST": "h", "REDIS_URL": "redis://a"}}, "redis", "redis://a", "", ""},
		"empty is not given":           {sources{env: m{"REDIS_URL": "", "REDIS_PORT": ""}, config: `{"redis":{"host":"","port":null}}`}, "file", "redis://localhost:6379/0", "", ""},
		"credentials complete a url":   {sources{env: m{"REDIS_URL": "redis://a", "REDIS_USERNAME": "u", "REDIS_PASSWORD": "p"}}, "redis", "redis://a", "u", "p"},
		"credentials in the url win":   {sources{env: m{"REDIS_URL": "redis://x:y@a", "REDIS_USERNAME": "u", "REDIS_PASSWORD": "p"}}, "redis", "redis://x:y@a", "", ""},
		"those of another server stay": {sources{env: m{"REDIS_URL": "redis://a"}, config: `{"redis":{"host":"h","username":"u","password":"p"}}`}, "redis", "redis://a", "", ""},
		"section of the gateway":       {sources{config: `{"redis":{"enabled":true,"host":"h","port":7000,"password":"p","db":2}}`}, "redis", "redis://h:7000/2", "", "p"},
		"byte order mark":              {sources{config: "\ufeff{\"redis\":{\"host\":\"h\"}}"}, "redis", "redis://h:6379/0", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.must(t)
			if err := s.Check(); err != nil {
				t.Error(err)
			}
			if s.Backend != c.backend || s.Redis.URL.Reveal() != c.url || s.Redis.Username != c.user || s.Redis.Password.Reveal() != c.password {
				t.Errorf("got %s %s %q %q", s.Backend, s.Redis.URL.Reveal(), s.Redis.Username, s.Redis.Password.Reveal())
			}
		})
	}
}

func TestBadValues(t *testing.T) {
	const secret = "s3cr3t-value"
	type m = map[string]string
	for want, src := range map[string]sources{
		"environment REDIS_PORT: must be a whole number, 1 to 65535":                       {env: m{"REDIS_PORT": secret}},
		"environment REDIS_DB: must be a whole number":                                     {env: m{"REDIS_DB": "-1"}},
		"environment REDIS_ENABLED: must be true or false":                                 {env: m{"REDIS_ENABLED": secret}},
		"environment REDIS_URL: must be a URL":                                             {env: m{"REDIS_URL": "http://" + secret}},
		"flag --redis-url: must be a URL":                                                  {flags: m{"redis-url": secret}},
		"environment REDIS_HOST: must be a host name":                                      {env: m{"REDIS_HOST": "h:1"}},
		"environment REDIS_KEY_PREFIX: must be 1 to 64":                                    {env: m{"REDIS_KEY_PREFIX": secret + "{}"}},
		"environment REDIS_CONNECT_TIMEOUT: must be a whole number of milliseconds":        {env: m{"REDIS_CONNECT_TIMEOUT": "5s"}},
		"config.json redis.commandTimeout: must be a whole number of milliseconds":         {config: `{"redis":{"commandTimeout":0}}`},
		"config.json redis.port: must be a string, a number or a boolean":                  {config: `{"redis":{"port":["` + secret + `"]}}`},
		"environment REDIS_TLS_SERVER_NAME: must be a host name or an IP address":          {env: m{"REDIS_TLS_SERVER_NAME": secret + ":6379"}},
		"config.json redis.tlsCaFile: must be a string, a number or a boolean":             {config: `{"redis":{"tlsCaFile":{"` + secret + `":1}}}`},
		"the file that REDIS_SENTINEL_PASSWORD_FILE names cannot be read":                  {env: m{"REDIS_SENTINEL_PASSWORD_FILE": "/nowhere/at/all"}},
		"the file that REDIS_PASSWORD_FILE names cannot be read":                           {env: m{"REDIS_PASSWORD_FILE": "/nowhere/at/all"}},
		"environment POOLKEEPER_ADDR: must be host:port":                                   {env: m{"POOLKEEPER_ADDR": secret}},
		"environment POOLKEEPER_API_KEY: must be at least 16 characters":                   {env: m{"POOLKEEPER_API_KEY": secret}},
		"environment POOLKEEPER_LOG_FORMAT: must be text or json":                          {env: m{"POOLKEEPER_LOG_FORMAT": secret}},
		"flag --log-level: must be debug, info, warn or error":                             {flags: m{"log-level": secret}},
		"flag --backend: must be auto, redis, file or memory":                              {flags: m{"backend": "files"}},
		"the file that POOLKEEPER_API_KEY_FILE names cannot be read: open /nowhere/at/all": {env: m{"POOLKEEPER_API_KEY_FILE": "/nowhere/at/all"}},
		"the file that REDIS_URL_FILE names is empty":                                      {env: m{"REDIS_URL_FILE": os.DevNull + "x"}},
	} {
		if v := src.env["REDIS_URL_FILE"]; v != "" {
			empty := filepath.Join(t.TempDir(), "empty")
			if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			src.env["REDIS_URL_FILE"] = empty
		}
		_, err := src.resolve(t)
		if !errors.Is(err, poolkeeper.ErrInvalid) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestDamagedConfig(t *testing.T) {
	for name, config := range map[string]string{
		"comma": `{"redis": {"password": "s3cr3t",}`, "array": `[]`, "section": `{"redis": "s3cr3t"}`, "blank": ` `,
	} {
		t.Run(name, func(t *testing.T) {
			src := sources{config: config}
			s := src.must(t)
			err := s.Check()
			if !errors.Is(err, poolkeeper.ErrInvalid) || !strings.Contains(err.Error(), "config.json") || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("got %v", err)
			}
			src.flags = map[string]string{"redis-url": "redis://a"}
			if src.must(t).Check() == nil {
				t.Error("the key prefix is not known, and that is no error")
			}
			src.env = map[string]string{"REDIS_KEY_PREFIX": "x:"}
			if err := src.must(t).Check(); err != nil {
				t.Errorf("nothing is needed of it, and still: %v", err)
			}
			src = sources{config: config, env: map[string]string{"REDIS_ENABLED": "false"}}
			if err := src.must(t).Check(); err != nil {
				t.Errorf("Redis is off, and still: %v", err)
			}
		})
	}
}

func TestSecretNeverPrints(t *testing.T) {
	const text = "s3cr3t"
	s := NewSecret(text)
	out := []string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%10.3v"} {
		out = append(out, fmt.Sprintf(verb, s), fmt.Sprintf(verb, &s), fmt.Sprintf(verb, struct{ s Secret }{s}), fmt.Sprintf(verb, []Secret{s}))
	}
	settings := &Settings{APIKey: s, Redis: Redis{URL: NewSecret("redis://:" + text + "@h"), Password: s}}
	out = append(out, fmt.Sprintf("%+v %#v", settings, *settings))
	b, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", s, "settings", settings)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", s, "settings", settings)
	for _, o := range append(out, string(b), log.String()) {
		if strings.Contains(o, text) || strings.Contains(strings.ToLower(o), fmt.Sprintf("%x", text)) {
			t.Errorf("printed: %s", o)
		}
	}
	if s.Reveal() != text || NewSecret("").String() != "" {
		t.Error("a secret is not what it was made of")
	}
}

func TestEntriesHoldNoSecret(t *testing.T) {
	s := sources{
		env:    map[string]string{"REDIS_URL": "redis://user:s3cr3t@h/1?password=s3cr3t", "POOLKEEPER_API_KEY": "s3cr3t-s3cr3t-s3cr3t"},
		config: `{"redis":{"password":"s3cr3t"}}`,
	}.must(t)
	if out := fmt.Sprintf("%v", s.Entries()); strings.Contains(out, "s3cr3t") {
		t.Error(out)
	}
}

func TestRedactURL(t *testing.T) {
	for raw, want := range map[string]string{
		"":                                  "",
		"redis://h:6379/0":                  "redis://h:6379/0",
		"redis://secret@h":                  "redis://****@h",
		"redis://u:secret@h:1/2?x=1":        "redis://****@h:1/2?x=****",
		"https://h/?sig=secret&model=m":     "https://h/?sig=****&model=m",
		"https://h/?model=m;token=secret":   "https://h/?model=****",
		"https://h/?secret":                 "https://h/?****",
		"redis://u:sec/ret#secret@h:1":      "redis://****@h:1",
		"redis://h?password=secret&db=1":    "redis://h?password=****&db=1",
		"redis://h?%70assword=secret":       "redis://h?%70assword=****",
		"redis://a:1,b:2/0?master=m":        "redis://a:1,b:2/0?master=m",
		"unix:///run/redis.sock":            "unix:///run/redis.sock",
		"secret":                            "****",
		"se cret://x":                       "****",
		"redis://h#secret":                  "redis://h",
		"https://user:secret@h/v1?token=se": "https://****@h/v1?token=****",
	} {
		if got := RedactURL(raw); got != want {
			t.Errorf("%q: got %q, want %q", raw, got, want)
		}
	}
}

func TestStateDir(t *testing.T) {
	for want, env := range map[string]map[string]string{
		"/x/poolkeeper":              {"XDG_STATE_HOME": "/x", "HOME": "/h"},
		"/h/.local/state/poolkeeper": {"XDG_STATE_HOME": "relative", "HOME": "/h"},
		"a/.poolkeeper":              {},
		"/given":                     {"POOLKEEPER_STATE_DIR": "/given", "HOME": "/h"},
	} {
		s, err := Resolve(Input{Flags: map[string]string{"config-dir": "a/configs/"}, Env: func(n string) (string, bool) { v, ok := env[n]; return v, ok }})
		if err != nil || s.StateDir != want {
			t.Errorf("got %v %v, want %s", s, err, want)
		}
	}
}
