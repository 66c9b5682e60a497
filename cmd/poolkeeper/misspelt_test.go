package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestServeWarnsOfMisspeltSettings: a name in config.json that is no setting is told at
// the start, without its value.
func TestServeWarnsOfMisspeltSettings(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "configs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	config := `{"poolkeeper":{"url":"http://127.0.0.1:8787","jounral":"FAKE-secret-value","apiKey":"FAKE-key-of-the-service"}}`
	for name, text := range map[string]string{"config.json": config, "provider_pools.json": `{"kiro":[{"uuid":"a"}]}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := startService(t, map[string]string{"HOME": t.TempDir(), "POOLKEEPER_CONFIG_DIR": dir, "POOLKEEPER_LOG_FORMAT": "json"})
	s.stop()
	log := s.errOut.String()
	if n := strings.Count(log, `"names":["jounral"]`); n != 1 || strings.Contains(log, "FAKE") {
		t.Errorf("the log, with it %d times:\n%s", n, log)
	}
}
