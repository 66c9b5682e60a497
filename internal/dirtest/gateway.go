package dirtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// Gateway finds every credential of a directory as the gateway does when it
// starts in root, the parent of configs/: from the texts in provider_pools.json
// and config.json alone, with the calls of the file system. It knows nothing of
// the packages under test.
//
// The result has one entry for each field that names a credential, as
// "type[position].FIELD" or "config.FIELD": the content that the gateway would
// have, or why it has none. Extra are the .json files, beside those it reads,
// in the directories where it looks for credentials.
func Gateway(t *testing.T, root string) (credentials map[string]string, extra []string) {
	t.Helper()
	g := gateway{t: t, root: root, found: map[string]string{}, read: map[string]bool{}}
	var config map[string]json.RawMessage
	if !g.parse("configs/config.json", &config) {
		config = nil // built-in defaults
	}
	for _, field := range slices.Sorted(maps.Keys(config)) {
		if isPathField(field) {
			g.credential("config."+field, field, config[field])
		}
	}
	at := "configs/provider_pools.json"
	if p := text(config["PROVIDER_POOLS_FILE_PATH"]); p != "" {
		at = p
	}
	var pools map[string][]map[string]json.RawMessage
	if !g.parse(at, &pools) {
		pools = nil // it starts without providers
	}
	for typ, pool := range pools {
		for i, def := range pool {
			where := fmt.Sprintf("%s[%d].", typ, i)
			for field, value := range def {
				if isPathField(field) {
					g.credential(where+field, field, value)
				}
			}
			if typ == "openai-codex-oauth" && text(def["CODEX_OAUTH_CREDS_FILE_PATH"]) == "" {
				g.codex(where+"CODEX_EMAIL", text(def["CODEX_EMAIL"]))
			}
		}
	}
	return g.found, g.extra()
}

type gateway struct {
	t     *testing.T
	root  string
	found map[string]string
	read  map[string]bool // paths relative to the root
}

func isPathField(name string) bool {
	return strings.HasSuffix(name, "_CREDS_FILE_PATH") || strings.HasSuffix(name, "_TOKEN_FILE_PATH")
}

func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// open is the path that the system resolves, from where the gateway runs. It is
// not cleaned: a/../b needs an a.
func (g *gateway) open(p string) string {
	if path.IsAbs(p) {
		return p
	}
	return g.root + "/" + p
}

func (g *gateway) file(p string) ([]byte, error) {
	data, err := os.ReadFile(g.open(p))
	if err == nil {
		real, err := filepath.EvalSymlinks(g.open(p))
		if err != nil {
			return nil, err
		}
		top, err := filepath.EvalSymlinks(g.root)
		if err != nil {
			return nil, err
		}
		if rel, err := filepath.Rel(top, real); err == nil {
			g.read[filepath.ToSlash(rel)] = true
		}
	}
	return data, err
}

// parse is JSON.parse of a file: a byte order mark is an error.
func (g *gateway) parse(p string, v any) bool {
	data, err := g.file(p)
	return err == nil && json.Unmarshal(data, v) == nil
}

func (g *gateway) credential(where, field string, value json.RawMessage) {
	p := text(value)
	switch {
	case p == "":
		g.found[where] = "no path"
		return
	case field == "IFLOW_TOKEN_FILE_PATH", strings.HasPrefix(field, "QWEN_"):
		if !path.IsAbs(p) {
			p = path.Clean(p) // these are joined to the working directory first
		}
	}
	data, err := g.file(p)
	switch info, statErr := os.Stat(g.open(p)); {
	case statErr != nil:
		g.found[where] = "missing"
		return
	case info.IsDir():
		g.found[where] = "a directory"
		return
	case err != nil:
		g.t.Errorf("%s: %v", where, err)
	}
	g.found[where] = "file " + Sum(string(data))
	if strings.HasPrefix(field, "KIRO_") {
		g.found[where] = g.kiro(p, data)
	}
}

// kiro merges what lies beside the file over it, in the order of the names; the
// expiry stays that of the file.
func (g *gateway) kiro(p string, data []byte) string {
	said := "file " + Sum(string(data))
	merged, expiry := map[string]json.RawMessage{}, json.RawMessage(nil)
	if json.Unmarshal(data, &merged) == nil {
		expiry = merged["expiresAt"]
	}
	dir := path.Dir(p)
	entries, err := os.ReadDir(g.open(dir)) // sorted by the bytes of the names
	if err != nil {
		g.t.Errorf("%s: %v", p, err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") || e.Name() == path.Base(p) {
			continue
		}
		beside, err := g.file(dir + "/" + e.Name())
		if err != nil {
			continue // a directory of that name
		}
		said += ", beside it " + e.Name() + " " + Sum(string(beside))
		var more map[string]json.RawMessage
		if json.Unmarshal(beside, &more) == nil {
			maps.Copy(merged, more)
		}
	}
	if expiry != nil {
		merged["expiresAt"] = expiry
	}
	for _, k := range slices.Sorted(maps.Keys(merged)) {
		said += fmt.Sprintf(", %q=%s", k, Sum(string(merged[k])))
	}
	return said
}

// codex takes the last by name of the files that the account may have.
func (g *gateway) codex(where, email string) {
	if email == "" {
		email = "default"
	}
	entries, _ := os.ReadDir(g.open("configs/codex"))
	var names []string
	for _, e := range entries {
		if strings.Contains(e.Name(), "codex-"+email) && strings.HasSuffix(e.Name(), ".json") {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		g.found[where] = "missing"
		return
	}
	slices.SortFunc(names, func(a, b string) int { return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b))) })
	last := names[len(names)-1]
	data, err := g.file("configs/codex/" + last)
	if err != nil {
		g.t.Errorf("%s: %v", where, err)
	}
	g.found[where] = "scanned " + last + " " + Sum(string(data))
}

// credentialDirs are where the gateway itself puts credentials, and links every
// .json file that it finds.
var credentialDirs = []string{"kiro", "gemini", "antigravity", "qwen", "iflow", "codex", "grok"}

func (g *gateway) extra() []string {
	var extra []string
	for _, name := range credentialDirs {
		dir := filepath.Join(g.root, "configs", name)
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		for p := range Tree(g.t, dir) {
			if p = "configs/" + name + "/" + p; strings.HasSuffix(p, ".json") && !g.read[p] {
				extra = append(extra, p)
			}
		}
	}
	slices.Sort(extra)
	return extra
}
