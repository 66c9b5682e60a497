package main

import (
	"path/filepath"
	"strings"
)

// commands are some of each kind, with input that is right.
var commands = []refusal{
	{args: []string{"config", "get"}}, {args: []string{"config", "set", "A=1"}}, {args: []string{"doc", "list"}}, {args: []string{"doc", "rm", "plugins.json"}},
	{args: []string{"doc", "set", "d.json", "--file", "-"}, stdin: `{}`}, {args: []string{"provider", "list"}}, {args: []string{"provider", "get", kiro, kiroID}},
	{args: []string{"provider", "add", kiro}, stdin: `{"key":"` + planted + `"}`}, {args: []string{"provider", "disable", kiro, kiroID}},
	{args: []string{"provider", "rename", kiro, kiroID, "new"}}, {args: []string{"provider", "rm", kiro, kiroID}}, {args: []string{"token", "get", kiro, kiroID}},
	{args: []string{"token", "set", kiro, kiroID}, stdin: `{"t":"` + planted + `"}`}, {args: []string{"password", "set"}, stdin: planted + "\n"},
	{args: []string{"usage", kiro, kiroID}}, {args: []string{"error", kiro, kiroID}}, {args: []string{"success", kiro, kiroID}},
	{args: []string{"verify"}}, {args: []string{"export", "--output-dir", "TARGET"}}, {args: []string{"serve"}}, {args: []string{"status"}, prints: true},
}

// storeRows: every command on stores that cannot be used.
func (b *refuser) storeRows() []refusal {
	var table [][]refusal
	all := func(code, names string, flags ...string) {
		var rows []refusal
		for _, c := range commands {
			c.args = append(flags[:len(flags):len(flags)], c.args...)
			for i, a := range c.args {
				if a == "TARGET" {
					c.args[i] = filepath.Join(b.work, "target", "configs")
				}
			}
			c.code, c.names = code, names
			rows = append(rows, c)
		}
		table = append(table, rows)
	}
	all("unavailable", "127.0.0.1:1", "--redis-url", "redis://user:"+planted+"@127.0.0.1:1")
	all("uninitialized", "store in Redis is empty", "--key-prefix", "empty:")
	all("foreign", "did not write", "--key-prefix", "foreign:")
	typical := filepath.Join(b.work, "typical", "configs")
	locked := strings.Replace(b.locked.URL(), "FAKE-password-of-redis", planted, 1)
	return append(spread(table),
		cli("unavailable", "127.0.0.1:1", "init", "--redis-url", "redis://127.0.0.1:1"),
		cli("unavailable", "127.0.0.1:1", "import", "--redis-url", "redis://127.0.0.1:1"),
		cli("foreign", "did not write", "init", "--key-prefix", "foreign:"),
		cli("foreign", "did not write", "import", "--key-prefix", "foreign:", "--config-dir", typical),
		cli("foreign", "--in-place", "import", "--key-prefix", "foreign:", "--from-redis", b.srv.URL()),
		cli("invalid", "pools:x", "import", "--from-redis", b.srv.URL(), "--from-key-prefix", "wrong:"),
		cli("invalid", "pools:x", "import", "--in-place", "--key-prefix", "wrong:"),
		cli("invalid", "pools:x one", "import", "--from-redis", b.srv.URL(), "--from-key-prefix", "broken:"),
		cli("invalid", "pools:x one", "import", "--in-place", "--from-redis", b.srv.URL(), "--key-prefix", "broken:", "--force"),
		cli("foreign", "strange:", "import", "--in-place", "--key-prefix", "strange:"),
		cli("uninitialized", "--from-key-prefix", "import", "--from-redis", b.srv.URL(), "--from-key-prefix", "empty:"),
		cli("uninitialized", "nothing to import", "import", "--in-place", "--key-prefix", "empty:"),
		cli("unavailable", "127.0.0.1:1", "import", "--from-redis", "redis://user:"+planted+"@127.0.0.1:1"),
		cli("forbidden", "password", "import", "--from-redis", locked),
		cli("forbidden", "password", "import", "--from-redis", "redis://"+b.locked.Addr()).with("REDIS_PASSWORD", "FAKE-password-of-redis"),
		cli("invalid", "Redis URL", "import", "--from-redis", planted),
		cli("invalid", "Redis URL", "import", "--from-redis", "redis://:"+planted+"@h:port"),
		cli("invalid", "first line", "import", "--from-redis", "-").reads(""),
		cli("invalid", "key prefix", "import", "--from-redis", b.srv.URL(), "--from-key-prefix", "a b"),
		cli("invalid", "--from-redis", "import", "--from-redis="),
		cli("invalid", "--from-redis", "import", "--from-key-prefix", "foreign:"),
		cli("invalid", "--redis-url", "import", "--in-place", "--from-redis", b.srv.URL(), "--redis-url", b.srv.URL()),
		cli("invalid", "--key-prefix", "import", "--in-place", "--from-redis", b.srv.URL(), "--from-key-prefix", "foreign:"),
		cli("forbidden", "memory keeps nothing", "import", "--from-redis", b.srv.URL(), "--backend", "memory"),
		cli("forbidden", "no Redis is configured", "import", "--in-place", "--backend", "memory"),
		cli("forbidden", "password", "config", "get", "--redis-url", locked),
		cli("forbidden", "password", "usage", kiro, kiroID, "--redis-url", locked),
		cli("forbidden", "password", "import", "--redis-url", locked),
		cli("forbidden", "password", "serve", "--redis-url", locked),
		cli("forbidden", "password", "config", "get", "--redis-url", "redis://"+b.locked.Addr()),
		cli("forbidden", "password", "import", "--redis-url", "redis://"+b.locked.Addr()).with("REDIS_PASSWORD", planted),
	)
}

// settingRows: settings that cannot be what they should be.
func (b *refuser) settingRows() []refusal {
	damaged := filepath.Dir(mustWrite(b.T, filepath.Join(b.work, "damaged", "config.json"), `{"redis": {"url": "redis://:`+planted+`@h"},}`, 0o600))
	secrets := mustWrite(b.T, filepath.Join(b.work, "secrets", "empty"), "", 0o600)
	var rows []refusal
	for flag, values := range map[string][]string{
		"--redis-url":  {"", planted, "http://" + planted, "redis://", "redis://a b"},
		"--key-prefix": {"", "a{b}", "a b", strings.Repeat("p", 65)},
		"--backend":    {"", "files"},
		"--log-level":  {"", "loud"},
		"--config-dir": {""},
	} {
		for _, v := range values {
			rows = append(rows, cli("invalid", flag, "config", "get", flag+"="+v))
		}
	}
	for _, url := range []string{
		"redis://:" + planted + "@h:port", "redis://:" + planted + "@h/x", "redis://:" + planted + "@h?y=1", "redis://a,b", "redis://a?cluster=true&db=1",
		"redis://a?cluster=maybe", "redis://a?cluster=true&master=m", "unix://x", "redis://h:0",
	} {
		rows = append(rows, cli("invalid", "Redis URL", "config", "get", "--redis-url", url))
	}
	for name, values := range map[string][]string{
		"REDIS_PORT": {planted, "0", "65536"}, "REDIS_DB": {"-1", "x"}, "REDIS_COMMAND_TIMEOUT": {"0", "1s"}, "REDIS_CONNECT_TIMEOUT": {"-1"},
		"REDIS_HOST": {"a/b", "h:1"}, "REDIS_ENABLED": {"maybe"}, "REDIS_KEY_PREFIX": {"{}"}, "REDIS_URL": {planted}, "POOLKEEPER_API_KEY": {"short", "with white space in it"},
		"POOLKEEPER_LOG_LEVEL": {"loud"}, "POOLKEEPER_LOG_FORMAT": {"xml"}, "POOLKEEPER_ADDR": {"nowhere", "h:99999"}, "POOLKEEPER_ALLOWED_HOSTS": {"*", "a.example:443", "http://" + planted}, "REDIS_URL_FILE": {secrets},
		"POOLKEEPER_API_KEY_FILE": {secrets}, "REDIS_PASSWORD_FILE": {secrets, filepath.Join(b.work, "no-such-file"), b.work},
	} {
		for _, v := range values {
			rows = append(rows, cli("invalid", strings.TrimSuffix(name, "_FILE"), "status").with(name, v))
		}
	}
	for _, args := range [][]string{{"config", "set", "A=1"}, {"usage", kiro, kiroID}, {"verify"}, {"serve"}, {"init"}} {
		r := cli("invalid", "config.json", append(args, "--config-dir", damaged)...).with("REDIS_URL", "")
		rows = append(rows, r)
	}
	return rows
}

// serveRows: services that must not start.
func (b *refuser) serveRows() []refusal {
	open := filepath.Dir(mustWrite(b.T, filepath.Join(b.work, "state-open", "api-key"), "FAKE-key-that-all-can-read\n", 0o644))
	short := filepath.Dir(mustWrite(b.T, filepath.Join(b.work, "state-short", "api-key"), "FAKE-short\n", 0o600))
	file := mustWrite(b.T, filepath.Join(b.work, "state-file"), "", 0o600)
	in := func(code, names, dir string) refusal {
		r := cli(code, names, "serve", "--addr", "127.0.0.1:0").with("POOLKEEPER_STATE_DIR", dir)
		r.env["POOLKEEPER_API_KEY"] = ""
		return r
	}
	taken := b.taken()
	return []refusal{
		cli("invalid", "--addr", "serve", "--addr", "nowhere"),
		cli("invalid", "--addr", "serve", "--addr", "127.0.0.1:99999"),
		cli("invalid", "--addr", "serve", "--addr", "127.0.0.1:http"),
		cli("invalid", "--addr", "serve", "--addr="),
		cli("invalid", "--allowed-host", "serve", "--allowed-host="),
		cli("invalid", "--allowed-host", "serve", "--allowed-host", "a.example", "--allowed-host", "*"),
		cli("invalid", "--allowed-host", "serve", "--allowed-host", "http://"+planted),
		cli("forbidden", taken, "serve", "--addr", taken),
		cli("forbidden", "192.0.2.1:0", "serve", "--addr", "192.0.2.1:0"),
		cli("forbidden", "0.0.0.0:0", "serve", "--addr", "0.0.0.0:0").with("POOLKEEPER_API_KEY", ""),
		cli("forbidden", ":0", "serve", "--addr", ":0").with("POOLKEEPER_API_KEY", ""),
		cli("forbidden", "example.com:80", "serve", "--addr", "example.com:80").with("POOLKEEPER_API_KEY", ""),
		in("forbidden", "api-key", open),
		in("damaged", "api-key", short),
		in("forbidden", "state-file", file),
	}
}
