package dirtest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// nameCases have files with names that few programs expect.
func nameCases() []Case {
	files := map[string]string{poolsAt: "{}"}
	for i, name := range []string{
		" ", " lead", "trail ", "new\nline", "tab\t", "cr\r", "esc\x1b[31m", "del\x7f", `quote"`, "apostrophe'", "back\\slash", "-rf", "--help", "~", "~root", "$HOME", "%2e%2e", "%00",
		"*[?]{}", "a:b", "CON", "nul.txt", "...", ".hidden", "..data", "A.json", "a.json", "PWD", "Config.json", "ünï", "u\u0308", "名前", "🔑", "\u2028", "\u202e", "\ufeff", "x.tmp2", "lock", "tmp",
		strings.Repeat("n", 255), strings.Repeat("é", 127), strings.Repeat("t", 250) + ".json",
	} {
		files["configs/"+name] = fmt.Sprint(i)
		files["configs/sub/"+name+"/x"] = fmt.Sprint(i)
	}
	tokens := []string{"configs/kiro/new\nline.json", "configs/kiro/" + strings.Repeat("n", 255), "configs/kiro/ü \"'/*?.json", "configs/kiro/\x01.json"}
	named := map[string]string{poolsAt: naming(tokens...)}
	for _, p := range tokens {
		named[p] = `{"of":1}`
	}
	noUTF8 := dir{files: map[string]string{poolsAt: "{}"}, also: func(t *testing.T, root string) {
		for _, name := range []string{"\xff", "a\xc3", "\xed\xa0\x80"} {
			mustWrite(t, filepath.Join(root, "configs", name), "x")
		}
		if err := os.MkdirAll(filepath.Join(root, "configs", "sub\xff", "below"), 0o755); err != nil {
			t.Fatal(err)
		}
		mustWrite(t, filepath.Join(root, "configs", "sub\xff", "below", "x"), "x")
	}}
	const deep = 4096
	tooLong := dir{files: map[string]string{poolsAt: "{}"}, also: func(t *testing.T, root string) {
		r, err := os.OpenRoot(filepath.Join(root, "configs"))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		p := strings.TrimSuffix(strings.Repeat(strings.Repeat("d", 200)+"/", deep/201), "/") // with configs/ below the limit
		if err := r.MkdirAll(p+"/"+strings.Repeat("e", 255), 0o755); err != nil {
			t.Fatal(err)
		}
	}}
	longest := strings.TrimSuffix(strings.Repeat(strings.Repeat("d", 200)+"/", deep/201), "/")
	return []Case{
		taken("names", dir{files: files}),
		taken("names-of-tokens", dir{files: named}),
		taken("names-no-utf-8", noUTF8, "name configs/\xff", "name configs/a\xc3", "name configs/\xed\xa0\x80", "name configs/sub\xff").
			without("configs/\xff", "configs/a\xc3", "configs/\xed\xa0\x80", "configs/sub\xff"),
		taken("names-too-long", tooLong, "name configs/"+longest+"/"+strings.Repeat("e", 255)).without("configs/" + longest + "/" + strings.Repeat("e", 255)),
		taken("names-transient", dir{files: map[string]string{
			poolsAt: "{}", "configs/a.tmp": "1", "configs/a.lock": "1", "configs/temp/a": "1", "configs/kiro/a.tmp": "1", "configs/x.lock/y": "1", "configs/kiro/temp/z": "1", "configs/temporary": "1",
		}}),
		taken("named-otherwise", dir{files: map[string]string{poolsAt: "{}", "configs/x": "1"}, at: func(configs string) string {
			to := filepath.Join(filepath.Dir(configs), "my configs.2026")
			if os.Rename(configs, to) != nil {
				return configs
			}
			return to
		}}),
		taken("trailing-slash", dir{files: map[string]string{poolsAt: "{}"}, at: func(configs string) string { return configs + "/" }}),
		taken("trailing-slashes", dir{files: map[string]string{poolsAt: "{}"}, at: func(configs string) string { return configs + "//./" }}),
		taken("up-and-down", dir{files: map[string]string{poolsAt: "{}"}, at: func(configs string) string { return configs + "/../configs" }}),
		refused("trailing-slash-refused", "invalid", "provider_pools.json", "1:1", dir{files: map[string]string{poolsAt: "["}, at: func(configs string) string { return configs + "/" }}),
	}
}

func mustWrite(t *testing.T, p, data string) {
	t.Helper()
	if err := os.WriteFile(p, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

// sized is a JSON object of exactly n bytes, in which members stand first.
func sized(n int, members string) string {
	return `{` + members + `"x":"` + strings.Repeat("x", n-len(members)-8) + `"}`
}

// sizeCases are at the limits and just above them.
func sizeCases() []Case {
	const uuid = `"uuid":"u",`
	of := func(def string) dir { return pools(`{"t":[{"uuid":"1"},` + def + `]}`) }
	sparse := func(p string, size int64) dir {
		return dir{files: map[string]string{poolsAt: "{}"}, also: func(t *testing.T, root string) {
			full := filepath.Join(root, filepath.FromSlash(p))
			mustWrite(t, full, "x")
			if err := os.Truncate(full, size); err != nil {
				t.Fatal(err)
			}
		}}
	}
	spread := `{` + uuid + `"x":[` + strings.TrimSuffix(strings.Repeat("1,", 300_000), ",") + `]}`
	return []Case{
		taken("size-definition", of(sized(poolkeeper.MaxDefinition, uuid))),
		refused("size-definition-above", "too-large", "provider_pools.json", "/t/1 has 1048577 bytes", of(sized(poolkeeper.MaxDefinition+1, uuid))),
		taken("size-definition-white-space", of(strings.Repeat(" ", poolkeeper.MaxDefinition)+sized(poolkeeper.MaxDefinition, uuid))),
		taken("size-definition-inner-white-space", of(`{`+strings.Repeat(" ", poolkeeper.MaxDefinition)+`"uuid":"u"}`)),
		taken("size-definition-runtime", of(sized(poolkeeper.MaxDefinition+20, `"usageCount":1234567,`+uuid))),
		taken("size-definition-spread", of(spread)),
		taken("size-document", one("configs/plugins.json", sized(poolkeeper.MaxDocument, ""))).big(),
		refused("size-document-above", "too-large", "plugins.json", "16777217 bytes", one("configs/plugins.json", sized(poolkeeper.MaxDocument+1, ""))),
		taken("size-config", one("configs/config.json", sized(poolkeeper.MaxDocument, ""))).big(),
		refused("size-config-above", "too-large", "config.json", "16777217 bytes", one("configs/config.json", sized(poolkeeper.MaxDocument+1, ""))),
		taken("size-token", token(sized(poolkeeper.MaxDocument, ""))).big(),
		refused("size-token-above", "too-large", "kiro/t.json", "16777217 bytes", token(sized(poolkeeper.MaxDocument+1, ""))),
		refused("size-token-beside", "too-large", "", "16777217 bytes", dir{files: map[string]string{poolsAt: naming("t.json"), "t.json": sized(poolkeeper.MaxDocument+1, "")}}),
		taken("size-file", sparse("configs/big.bin", poolkeeper.MaxFile)).big(),
		refused("size-file-above", "too-large", "big.bin", "67108865 bytes", sparse("configs/big.bin", poolkeeper.MaxFile+1)),
		taken("size-transient-above", sparse("configs/big.tmp", poolkeeper.MaxFile+1)),
		taken("size-password", one("configs/pwd", strings.Repeat("p", poolkeeper.MaxPassword))),
		refused("size-password-above", "too-large", "pwd", "4097 bytes", one("configs/pwd", strings.Repeat("p", poolkeeper.MaxPassword+1))),
		refused("size-pools-above", "too-large", "provider_pools.json", "1073741825 bytes", sparse(poolsAt, 1<<30+1)),
	}
}

// specialCases have what is neither a file nor a directory.
func specialCases() []Case {
	fifo := func(p string) func(t *testing.T, root string) {
		return func(t *testing.T, root string) {
			if err := makeFifo(filepath.Join(root, filepath.FromSlash(p)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	socket := func(t *testing.T, root string) {
		// The path of a socket is short, and that of the test may not be.
		short, err := os.MkdirTemp("", "s")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(short)
		ln, err := net.Listen("unix", filepath.Join(short, "s"))
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		if err := os.Rename(filepath.Join(short, "s"), filepath.Join(root, "configs", "s")); err != nil {
			t.Fatal(err)
		}
	}
	empty := map[string]string{poolsAt: "{}"}
	cases := []Case{
		taken("special-fifo", dir{files: empty, also: fifo("configs/f")}, "special configs/f").without("configs/f"),
		taken("special-socket", dir{files: empty, also: socket}, "special configs/s").without("configs/s"),
		taken("special-device", dir{files: empty, links: map[string]string{"configs/null": "/dev/null"}}, "link configs/null").without("configs/null"),
		taken("special-token", dir{files: map[string]string{poolsAt: naming("configs/f", "f")}, also: func(t *testing.T, root string) {
			fifo("configs/f")(t, root)
			fifo("f")(t, root)
		}}, "special configs/f", pathNote("special", "0"), pathNote("special", "1")).without("configs/f"),
		taken("special-document", dir{files: empty, also: fifo("configs/plugins.json")}, "special configs/plugins.json").without("configs/plugins.json"),
		refused("special-configs", "invalid", "", "not a directory", dir{at: func(configs string) string {
			os.Remove(configs)
			makeFifo(configs, 0o600)
			return configs
		}}),
	}
	for _, name := range []string{"config.json", "provider_pools.json", "pwd"} {
		cases = append(cases,
			refused("special-"+name, "invalid", name, "not a regular file", dir{also: fifo("configs/" + name)}),
			refused("directory-"+name, "invalid", name, "it is a directory", dir{files: map[string]string{"configs/" + name + "/x": ""}}))
	}
	return append(cases, taken("directory-document", dir{files: map[string]string{poolsAt: "{}", "configs/plugins.json/x": "1"}}))
}
