package settings

import (
	"cmp"
	"path/filepath"
	"strings"
)

// examples are values of settings that have no default to show.
var examples = map[string]string{
	"stateDir": "/var/lib/poolkeeper", "allowedHosts": "pools.example.com", "apiKey": "$(openssl rand -hex 32)", "logFormat": "json",
	"redis.enabled": "true", "redis.url": "redis://localhost:6379/0", "redis.tlsServerName": "redis.example.com",
}

// wayOut says what to write where for a setting that a source has wrong.
func (r *row) wayOut(g given, dir string) string {
	example := cmp.Or(examples[r.name], r.def, "VALUE")
	switch g.rank {
	case fromFlag:
		return "write --" + r.flag + " " + example + ", or leave it out"
	case fromEnv:
		name := strings.TrimPrefix(g.source, "environment ")
		if name != r.env {
			return "write " + example + " into the file that " + name + " names, or unset " + name
		}
		return "write " + name + "=" + example + ", or unset it"
	}
	if r.name == "apiKey" {
		example = "what openssl rand -hex 32 prints"
	} else if !r.plain() {
		example = `"` + example + `"`
	}
	return "write " + example + " as " + r.key + " of " + r.section + " in " + filepath.Join(dir, "config.json") + ", or take " + r.key + " out"
}

// plain reports whether a setting is a number or a boolean in config.json.
func (r *row) plain() bool {
	return r.name == "redis.enabled" || r.def != "" && strings.Trim(r.def, "0123456789") == ""
}
