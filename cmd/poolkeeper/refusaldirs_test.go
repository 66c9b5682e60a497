package main

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// directoryRows: directories that cannot be taken, and targets that cannot be
// written.
func (b *refuser) directoryRows() []refusal {
	var rows []refusal
	for name, file := range b.broken() {
		dir := filepath.Join(b.work, "broken", name, "configs")
		code := "invalid"
		if name == "no-configs-dir" {
			code = "not-found"
		}
		rows = append(rows, cli(code, file, "import", "--config-dir", dir, "--key-prefix", "empty:"), cli(code, file, "verify", "--config-dir", dir))
	}
	rows = append(rows, b.escapeRows()...)
	typical := filepath.Join(b.work, "typical", "configs")
	file := mustWrite(b.T, filepath.Join(b.work, "a-file"), "x", 0o600)
	for _, args := range [][]string{{"config", "set", "A=1"}, {"usage", kiro, kiroID}, {"import"}, {"verify"}, {"export", "--output-dir", filepath.Join(b.work, "target")}, {"init"}, {"token", "rm", kiro, kiroID}} {
		rows = append(rows, cli("forbidden", "memory keeps nothing", append(args, "--backend", "memory")...))
	}
	hollow := filepath.Dir(mustWrite(b.T, filepath.Join(b.work, "hollow", "configs", "config.json"), "", 0o600))
	return append(rows,
		cli("invalid", "config.json", "import", "--config-dir", hollow, "--key-prefix", "empty:"),
		cli("invalid", "config.json", "provider", "list", "--backend", "memory", "--config-dir", hollow),
		cli("not-found", "no-such-dir", "import", "--config-dir", filepath.Join(b.work, "no-such-dir")),
		cli("not-found", "no-such-dir", "verify", "--config-dir", filepath.Join(b.work, "no-such-dir")),
		cli("not-found", "no-such-dir", "config", "get", "--backend", "memory", "--config-dir", filepath.Join(b.work, "no-such-dir")),
		cli("invalid", "a-file", "import", "--config-dir", file),
		cli("exists", typical, "export", "--output-dir", typical),
		cli("exists", typical, "export", "--output-dir", typical, "--dry-run"),
		cli("invalid", "a-file", "export", "--output-dir", file),
		cli("invalid", "a-file", "export", "--output-dir", filepath.Join(file, "configs")),
		cli("invalid", "evil.json", "doc", "set", "../evil.json", "--file", filepath.Join(typical, "plugins.json")),
		cli("invalid", "reserved", "doc", "set", "config.json", "--file", filepath.Join(typical, "plugins.json")),
	)
}

// broken copies the fixtures that an import refuses, and says which file each
// is about.
func (b *refuser) broken() map[string]string {
	data, err := os.ReadFile(filepath.Join(fixtures(b.T), "EXPECTED.json"))
	if err != nil {
		b.Fatal(err)
	}
	var expected struct {
		Broken map[string]json.RawMessage
	}
	if err := json.Unmarshal(data, &expected); err != nil {
		b.Fatal(err)
	}
	found := map[string]string{}
	for name, raw := range expected.Broken {
		var verdict struct {
			Import string `json:"recommended_import"`
		}
		// What cannot be read needs another user than the one of these tests.
		if json.Unmarshal(raw, &verdict) != nil || verdict.Import != "refuse" || name == "unreadable" {
			continue
		}
		found[name] = map[string]string{"pool": "provider_pools.json", "prov": "provider_pools.json", "conf": "config", "pwd-": "pwd", "no-c": "configs"}[name[:4]]
		to := filepath.Join(b.work, "broken", name)
		if err := os.MkdirAll(to, 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.CopyFS(to, os.DirFS(filepath.Join(fixtures(b.T), "broken", name))); err != nil {
			b.Fatal(err)
		}
	}
	if len(found) < 15 {
		b.Errorf("only %d broken fixtures", len(found))
	}
	return found
}

// escapeRows: links that lead out of the directory, in what is read and in what
// is written.
func (b *refuser) escapeRows() []refusal {
	outside := filepath.Dir(mustWrite(b.T, filepath.Join(b.work, "outside", "provider_pools.json"), `{"stolen":[{"uuid":"`+planted+`"}]}`, 0o600))
	link := func(dir, name, to string) string {
		full := filepath.Join(b.work, dir, "configs")
		mustWrite(b.T, filepath.Join(full, "input_system_prompt.txt"), "x", 0o600)
		if err := os.Symlink(to, filepath.Join(full, name)); err != nil {
			b.Fatal(err)
		}
		return full
	}
	var rows []refusal
	for _, name := range []string{"provider_pools.json", "config.json", "pwd"} {
		dir := link("escape-"+name, name, filepath.Join(outside, "provider_pools.json"))
		rows = append(rows, cli("invalid", name, "import", "--config-dir", dir, "--key-prefix", "empty:"),
			cli("invalid", name, "verify", "--config-dir", dir),
			cli("invalid", name, "provider", "list", "--backend", "memory", "--config-dir", dir))
	}
	loop := link("loop", "config.json", "config.json")
	rows = append(rows, cli("invalid", "config.json", "import", "--config-dir", loop, "--key-prefix", "empty:"))
	// An export goes through no link either, forced or not.
	kiroDir := link("through", "kiro", outside)
	return append(rows,
		cli("exists", "through", "export", "--output-dir", kiroDir),
		cli("invalid", "kiro", "export", "--output-dir", kiroDir, "--force"),
		cli("invalid", "kiro", "export", "--output-dir", kiroDir, "--force", "--dry-run"))
}
