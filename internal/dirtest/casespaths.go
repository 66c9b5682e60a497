package dirtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pathCases have token paths of every kind.
func pathCases() []Case {
	with := func(files map[string]string, paths ...string) dir {
		d := dir{files: map[string]string{poolsAt: naming(paths...)}}
		for p, data := range files {
			d.files[p] = data
		}
		return d
	}
	missing := func(name, p string) Case { return taken("path-"+name, with(nil, p), pathNote("token-missing", "0")) }
	outside := func(name, p string) Case {
		c := taken("path-"+name, with(nil, p), pathNote("token-outside", "0"))
		return c
	}
	reserved := func(name, p string) Case {
		return taken("path-"+name, with(map[string]string{"configs/config.json": "{}", "configs/pwd": "x", "configs/plugins.json": "{}"}, p), pathNote("token-reserved", "0"))
	}
	file := map[string]string{"configs/kiro/t.json": "{}"}
	same := []string{"configs/kiro/t.json", "./configs/kiro/t.json", "configs//kiro/./t.json", "configs/kiro/../kiro/t.json", ".//./configs/kiro/t.json", "configs/kiro//t.json"}
	twoTypes := dir{files: map[string]string{
		poolsAt:          `{"gemini-cli-oauth":[{"uuid":"a","GEMINI_OAUTH_CREDS_FILE_PATH":"./configs/g.json"}],"gemini-antigravity":[{"uuid":"a","ANTIGRAVITY_OAUTH_CREDS_FILE_PATH":"configs//x/../g.json"}]}`,
		"configs/g.json": "{}",
		"configs/x/y":    "",
	}}
	return []Case{
		reserved("pools", "configs/provider_pools.json"), reserved("config", "./configs/config.json"), reserved("pwd", "configs/./pwd"), reserved("document", "configs/plugins.json"),
		missing("nul", "configs/a\x00b.json"), missing("nul-behind", "configs/kiro/t.json\x00"), missing("percent", "configs/%6biro/t.json"), missing("percent-dots", "%2e%2e/secret.json"),
		missing("url-file", "file:///etc/passwd"), missing("url-file-relative", "file:configs/kiro/t.json"), missing("url-https", "https://example.org/t.json"), missing("url-data", "data:application/json,{}"),
		missing("windows", `C:\gateway\configs\kiro\t.json`), missing("windows-relative", `.\configs\kiro\t.json`), missing("windows-slashes", "C:/gateway/t.json"), missing("windows-share", `\\server\share\t.json`),
		missing("tilde", "~/.aws/t.json"), missing("variable", "$HOME/t.json"), missing("space", " configs/kiro/t.json"), missing("blank", " "), missing("long", strings.Repeat("x/", 3000)), missing("long-name", strings.Repeat("x", 256)),
		missing("redis", "redis:tokens:claude-kiro-oauth:a"), missing("below-file", "configs/provider_pools.json/t.json"), missing("trailing-slash-none", "configs/none/"),
		outside("absolute", "/etc/passwd"), outside("up", "../t.json"), outside("up-far", strings.Repeat("../", 40)+"etc/passwd"), outside("up-within", "configs/../../t.json"), outside("up-alone", ".."), outside("slash", "/"), outside("double-slash", "//etc/passwd"),
		taken("path-percent-literal", with(map[string]string{"configs/%6biro/t.json": "{}", "%2e%2e/t.json": "{}"}, "configs/%6biro/t.json", "%2e%2e/t.json")),
		taken("path-backslash-literal", with(map[string]string{`.\configs\t.json`: "{}"}, `.\configs\t.json`)),
		taken("path-url-literal", with(map[string]string{"file:/etc/passwd": "{}"}, "file:///etc/passwd")),
		taken("path-directory", with(file, "configs/kiro", "configs/kiro/", ".", "configs", "configs/kiro/.."), pathNote("token-directory", "0"), pathNote("token-directory", "1"), pathNote("token-directory", "2"), pathNote("token-directory", "3"), pathNote("token-directory", "4")),
		taken("path-same", with(file, same...)),
		taken("path-two-types", twoTypes),
		taken("path-dot-dot", with(map[string]string{"configs/kiro/t.json": "{}", "configs/kiro/sub/x": ""}, "configs/kiro/sub/../t.json", "./configs/../configs/kiro/sub/../../kiro/t.json")),
		taken("path-dot-dot-empty", dir{files: map[string]string{poolsAt: naming("configs/kiro/empty/../t.json"), "configs/kiro/t.json": "{}"}, also: func(t *testing.T, root string) {
			if err := os.Mkdir(filepath.Join(root, "configs", "kiro", "empty"), 0o755); err != nil {
				t.Fatal(err)
			}
		}}),
		taken("path-dot-dot-nowhere", with(file, "configs/none/../kiro/t.json", "configs/provider_pools.json/../kiro/t.json"), pathNote("token-unclear", "0"), pathNote("token-unclear", "1")),
		taken("path-dot-dot-link", dir{files: map[string]string{poolsAt: naming("configs/kiro/l/../t.json"), "configs/kiro/t.json": `{"n":1}`, "configs/far/t.json": `{"n":2}`, "configs/far/d/x": ""}, links: map[string]string{"configs/kiro/l": "../far/d"}},
			pathNote("token-unclear", "0")),
		taken("path-transient", with(map[string]string{"configs/temp/t.json": "{}", "configs/t.tmp": "{}"}, "configs/none.json"), pathNote("token-missing", "0")),
		taken("path-case", with(map[string]string{"configs/A.json": `{"n":1}`, "configs/a.json": `{"n":2}`}, "configs/A.json", "configs/a.json", "Configs/a.json"), pathNote("token-missing", "2")),
		taken("path-in-config", dir{files: map[string]string{poolsAt: "{}", "configs/config.json": `{"A_CREDS_FILE_PATH":"configs/none","B_CREDS_FILE_PATH":"../x","C_CREDS_FILE_PATH":"configs","D_CREDS_FILE_PATH":"./configs/t.json","E_CREDS_FILE_PATH":7,"F_CREDS_FILE_PATH":""}`, "configs/t.json": "{}"}},
			"token-missing configs/config.json /A_CREDS_FILE_PATH", "token-outside configs/config.json /B_CREDS_FILE_PATH", "token-directory configs/config.json /C_CREDS_FILE_PATH"),
	}
}

// linkCases have links.
func linkCases() []Case {
	empty := map[string]string{poolsAt: "{}"}
	left := func(name, at, target string) Case {
		return taken("link-"+name, dir{files: empty, links: map[string]string{at: target}}, "link "+at).without(at)
	}
	chain := func(n int) dir {
		d := dir{files: map[string]string{poolsAt: "{}", "configs/end": "x"}, links: map[string]string{}}
		for i := range n {
			to := fmt.Sprintf("l%03d", i+1)
			if i == n-1 {
				to = "end"
			}
			d.links[fmt.Sprintf("configs/l%03d", i)] = to
		}
		return d
	}
	inside := map[string]string{poolsAt: naming("configs/kiro/l.json"), "configs/kiro/t.json": "{}", "configs/d/e/x.json": "{}"}
	hard := func(t *testing.T, root string) {
		if err := os.Link(filepath.Join(root, "configs", "a.json"), filepath.Join(root, "configs", "b.json")); err != nil {
			t.Fatal(err)
		}
	}
	cases := []Case{
		left("absolute", "configs/l", "/etc/hostname"), left("absolute-directory", "configs/l", "/etc"), left("root", "configs/l", "/"), left("up", "configs/kiro/l", "../../../x"), left("up-far", "configs/l", strings.Repeat("../", 40)+"etc/passwd"),
		left("parent", "configs/l", ".."), left("itself-directory", "configs/l", "."), left("self", "configs/l", "l"), left("dangling", "configs/l", "nothing"), left("dangling-up", "configs/l", "../nothing"), left("proc", "configs/l", "/proc/self/root"),
		taken("link-loop", dir{files: empty, links: map[string]string{"configs/a": "b", "configs/b": "c", "configs/c": "a"}}, "link configs/a", "link configs/b", "link configs/c").without("configs/a", "configs/b", "configs/c"),
		taken("link-loop-directories", dir{files: map[string]string{poolsAt: "{}", "configs/a/x": "1", "configs/b/y": "2"}, links: map[string]string{"configs/a/l": "../b", "configs/b/l": "../a"}},
			"link configs/a/l/l", "link configs/b/l/l").without("configs/a/l/l", "configs/b/l/l"),
		taken("link-through-directory", dir{files: empty, links: map[string]string{"configs/d": "../..", "configs/l": "d/x"}}, "link configs/d", "link configs/l").without("configs/d", "configs/l"),
		taken("link-token-through", dir{files: map[string]string{poolsAt: naming("configs/d/etc/passwd", "configs/l")}, links: map[string]string{"configs/d": "/", "configs/l": "/etc/passwd"}},
			"link configs/d", "link configs/l", pathNote("token-outside", "0"), pathNote("token-outside", "1")).without("configs/d", "configs/l"),
		taken("link-token-loop", dir{files: map[string]string{poolsAt: naming("configs/l")}, links: map[string]string{"configs/l": "l"}}, "link configs/l", pathNote("token-missing", "0")).without("configs/l"),
		taken("link-chain", chain(40)),
		taken("link-inside", dir{files: inside, links: map[string]string{"configs/kiro/l.json": "t.json", "configs/k": "d/e", "configs/abs": "ROOT/configs/d", "configs/twice": "k/x.json"}}),
		taken("link-beside", dir{files: map[string]string{poolsAt: "{}", "beside/x": "1"}, links: map[string]string{"configs/l": "../beside", "configs/m": "../beside/x"}}),
		taken("link-hard", dir{files: map[string]string{poolsAt: naming("configs/a.json", "configs/b.json"), "configs/a.json": "{}"}, also: hard}),
		taken("link-reserved", dir{files: map[string]string{poolsAt: naming("configs/l"), "configs/pwd": "x"}, links: map[string]string{"configs/l": "pwd"}}, pathNote("token-reserved", "0")),
		taken("link-to-transient", dir{files: map[string]string{poolsAt: "{}", "configs/x.tmp": "1"}, links: map[string]string{"configs/l": "x.tmp", "configs/m.tmp": "l"}}),
		taken("link-configs", dir{files: empty, at: func(configs string) string {
			l := filepath.Join(filepath.Dir(configs), "link")
			if os.Symlink("configs", l) != nil {
				return configs
			}
			return l
		}}),
		taken("link-configs-slash", dir{files: empty, at: func(configs string) string {
			l := filepath.Join(filepath.Dir(configs), "link")
			if os.Symlink("configs", l) != nil {
				return configs
			}
			return l + "/"
		}}),
		refused("link-configs-dangling", "not-found", "", "no such file", dir{at: func(configs string) string {
			l := filepath.Join(filepath.Dir(configs), "link")
			os.Symlink("nothing", l)
			return l
		}}),
	}
	for _, name := range []string{"config.json", "provider_pools.json", "pwd"} {
		for what, target := range map[string]string{"outside": "/etc/hostname", "up": "../../" + name, "self": name, "dangling": "nothing"} {
			cases = append(cases, refused("link-"+what+"-"+name, "invalid", name, "link", dir{links: map[string]string{"configs/" + name: target}}))
		}
		cases = append(cases, taken("link-inside-"+name, dir{files: map[string]string{"configs/..2026/" + name: "{}"}, links: map[string]string{"configs/..data": "..2026", "configs/" + name: "..data/" + name}}))
	}
	return cases
}

// providerCases have pools that are hard to keep apart.
func providerCases() []Case {
	const crowd = 10_000
	defs := make([]string, crowd)
	var notes []string
	for i := range defs {
		defs[i] = fmt.Sprintf(`{"uuid":"same","n":%d}`, i/2) // half of them the same altogether
		if i > 0 {
			notes = append(notes, fmt.Sprintf("uuid-duplicate %s t[%d].uuid", poolsAt, i))
		}
	}
	id := func(n int) dir { return pools(`{"t":[{"uuid":"` + strings.Repeat("i", n) + `"}]}`) }
	typ := func(n int) dir { return pools(`{"` + strings.Repeat("t", n) + `":[{"uuid":"1"}]}`) }
	const unusable = "uuid-unusable " + poolsAt + " t[0].uuid"
	return []Case{
		{Name: "crowd", Dir: pools(`{"t":[` + strings.Join(defs, ",") + `]}`).make, Notes: notes, Big: true},
		taken("id-512", id(512)), taken("id-513", id(513), unusable), taken("id-nul", pools(`{"t":[{"uuid":"a\u0000b"}]}`), unusable), taken("id-tilde", pools(`{"t":[{"uuid":"~a"}]}`), unusable),
		taken("id-odd", pools(`{"t":[{"uuid":" "},{"uuid":"a/b"},{"uuid":"%2F"},{"uuid":"{a}"},{"uuid":"a:usageCount"},{"uuid":"*"},{"uuid":"\n"},{"uuid":"__proto__"},{"uuid":"A"},{"uuid":"a"},{"uuid":"."},{"uuid":".."}]}`)),
		taken("type-256", typ(256)), refused("type-257", "too-large", "provider_pools.json", "257 bytes", typ(257)), taken("type-empty", pools(`{"":[{"uuid":"1"}]}`)),
		taken("type-odd", pools(`{"__proto__":[{"uuid":"1","__proto__":{"a":1},"constructor":null}],"10":[{"uuid":"1","2":1,"1":2}],"2":[],"-0":[],"01":[],"{x}":[],"%":[],"a:b":[{"uuid":"1"}]," ":[],"\n":[],"~":[{"uuid":"1"}],"~~":[],"toString":[],"T":[],"t":[]}`)),
		taken("metadata-keys", pools(`{"t":[{"uuid":"1","":1,"_id":"x","~":1,"a.b":1,"$ref":"#"}]}`)),
		refused("metadata-pool", "invalid", "provider_pools.json", "/_version is a number", pools(`{"_version":3,"t":[]}`)),
	}
}
