package configdir_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
)

// TestTraversal checks that nothing outside of the parent gets in or out.
func TestTraversal(t *testing.T) {
	const secret = `{"accessToken":"what lies outside"}`
	base := t.TempDir()
	if err := os.CopyFS(filepath.Join(base, "root"), os.DirFS(filepath.Join(dirtest.Fixtures, "broken", "path-traversal"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(base, "outside"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(base, "outside", "secret.json"), []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	snap, report := read(t, filepath.Join(base, "root", "configs"))
	if n := len(whereOf(report, configdir.CodeTokenOutside)); n != 4 {
		t.Errorf("%d paths are reported to leave the root, want 4", n)
	}
	if report.Tokens != 2 {
		t.Errorf("%d tokens, want 2", report.Tokens)
	}
	for k, d := range snap.Values {
		if string(d.Data) == secret || strings.Contains(string(d.Data), "root:") {
			t.Errorf("%s has what lies outside", k)
		}
	}
	out, _ := write(t, snap)
	root := filepath.Dir(out)
	for p := range dirtest.Tree(t, filepath.Dir(root)) {
		if !strings.HasPrefix(p, "root/configs/") && p != "root/outside/secret.json" {
			t.Errorf("%s was written", p)
		}
	}
}

func TestRefusals(t *testing.T) {
	pools := func(s string) map[string]string { return map[string]string{"configs/provider_pools.json": s} }
	config := func(s string) map[string]string { return map[string]string{"configs/config.json": s} }
	utf16 := func(s string) string {
		var b strings.Builder
		b.WriteString("\xff\xfe")
		for _, c := range []byte(s) {
			b.Write([]byte{c, 0})
		}
		return b.String()
	}
	big := `"x":"` + strings.Repeat("x", poolkeeper.MaxDefinition) + `"`
	for name, c := range map[string]struct {
		files map[string]string
		is    error
		say   string
	}{
		"utf-16":            {pools(utf16(`{"a":[]}`)), poolkeeper.ErrInvalid, "UTF-16"},
		"utf-16 config":     {config(utf16(`{}`)), poolkeeper.ErrInvalid, "config.json: invalid JSON at 1:1: the file is in UTF-16"},
		"utf-16 without":    {pools("{\x00}\x00"), poolkeeper.ErrInvalid, "UTF-16"},
		"nan":               {pools("{\"a\":[\n{\"uuid\":\"u\",\"n\":NaN}]}"), poolkeeper.ErrInvalid, "2:17"},
		"two documents":     {pools("{\"a\":[]}\n{\"b\":[]}"), poolkeeper.ErrInvalid, "2:1"},
		"bom twice":         {pools("\xef\xbb\xbf\xef\xbb\xbf{}"), poolkeeper.ErrInvalid, "1:1"},
		"pool is a number":  {pools(`{"version":1}`), poolkeeper.ErrInvalid, "/version is a number"},
		"pool is a string":  {pools(`{"a/b~c":"x"}`), poolkeeper.ErrInvalid, "/a~1b~0c is a string"},
		"element is null":   {pools(`{"t":[{},null]}`), poolkeeper.ErrInvalid, "/t/1 is null"},
		"type no utf-8":     {pools("{\"\xff\":[]}"), poolkeeper.ErrInvalid, "provider type 1"},
		"type lone half":    {pools(`{"a":[],"\ud800":[]}`), poolkeeper.ErrInvalid, "provider type 2"},
		"long type":         {pools(`{"` + strings.Repeat("t", poolkeeper.MaxType+1) + `":[]}`), poolkeeper.ErrTooLarge, "257"},
		"big definition":    {pools(`{"t":[{},{` + big + `}]}`), poolkeeper.ErrTooLarge, "/t/1"},
		"long password":     {map[string]string{"configs/pwd": strings.Repeat("p", poolkeeper.MaxPassword+1)}, poolkeeper.ErrTooLarge, "pwd"},
		"big document":      {map[string]string{"configs/plugins.json": strings.Repeat(" ", poolkeeper.MaxDocument+1)}, poolkeeper.ErrTooLarge, "plugins.json"},
		"config is null":    {config("null"), poolkeeper.ErrInvalid, "config.json"},
		"config blank":      {config(" \n "), poolkeeper.ErrInvalid, "the file is empty"},
		"pools elsewhere":   {config(`{"PROVIDER_POOLS_FILE_PATH":"/etc/pools.json"}`), poolkeeper.ErrInvalid, "/etc/pools.json"},
		"pools above":       {config(`{"PROVIDER_POOLS_FILE_PATH":"../configs/provider_pools.json"}`), poolkeeper.ErrInvalid, "../configs"},
		"config directory":  {map[string]string{"configs/config.json/x": ""}, poolkeeper.ErrInvalid, "config.json"},
		"the parent":        {map[string]string{"configs/server.js": "", "configs/configs/config.json": "{}"}, poolkeeper.ErrInvalid, "neither config.json nor provider_pools.json"},
		"parent of pools":   {map[string]string{"configs/configs/provider_pools.json": "{}"}, poolkeeper.ErrInvalid, "a directory configs which has"},
		"secret for a path": {config(`{"PROVIDER_POOLS_FILE_PATH":"{\"key\":\"SECRET\"}"}`), poolkeeper.ErrInvalid, "does not look like a path"},
	} {
		t.Run(name, func(t *testing.T) {
			snap, report, err := configdir.ReadDir(context.Background(), dirtest.WriteTree(t, c.files), nil)
			if !errors.Is(err, c.is) || snap != nil || report != nil {
				t.Fatalf("error %v, want %v", err, c.is)
			}
			if !strings.Contains(err.Error(), c.say) || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("the error should say %q: %v", c.say, err)
			}
		})
	}
}

func TestAcceptedPoolsPaths(t *testing.T) {
	for _, lit := range []string{
		`"configs/provider_pools.json"`, `"./configs/provider_pools.json"`, `"configs//kiro/../provider_pools.json"`, `null`, `""`, `"configs/link.json"`,
	} {
		dir := dirtest.WriteTree(t, map[string]string{"configs/provider_pools.json": `{"t":[{}]}`, "configs/config.json": `{"PROVIDER_POOLS_FILE_PATH":` + lit + `}`})
		if err := os.Symlink("provider_pools.json", filepath.Join(dir, "link.json")); err != nil {
			t.Fatal(err)
		}
		if _, report := read(t, dir); report.Providers != 1 || len(whereOf(report, configdir.CodeConfig)) != 0 {
			t.Errorf("%s: %d providers, %v", lit, report.Providers, report.Warnings)
		}
	}
	dir := dirtest.WriteTree(t, map[string]string{"configs/provider_pools.json": `{"t":[{}]}`})
	abs, err := filepath.Abs(filepath.Join(dir, "provider_pools.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"PROVIDER_POOLS_FILE_PATH":"`+abs+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	read(t, dir)
}
