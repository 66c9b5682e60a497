package dirtest

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// A Case is a directory, and what an import of it must come to.
type Case struct {
	Name string
	// Dir makes the directory, and returns the path of its configs/.
	Dir func(t *testing.T) string

	// Code is that of the error that refuses it; empty where it is taken. The
	// error must name File, a path in configs/, and say Says.
	Code string
	File string
	Says string
	// Notes are all warnings of one that is taken: code, path and place of each.
	Notes []string
	// LeftOut are the paths of what is not carried, beside transient files.
	LeftOut []string
	// Big says that it takes long.
	Big bool
}

// A dir describes a directory: files by their paths from the root, links with
// what they lead to, and what else is to be done with the root.
type dir struct {
	files map[string]string
	links map[string]string
	also  func(t *testing.T, root string)
	at    func(configs string) string // how it is called on the command line
}

func (d dir) make(t *testing.T) string {
	t.Helper()
	configs := WriteTree(t, d.files)
	root := filepath.Dir(configs)
	for at, target := range d.links {
		p := filepath.Join(root, filepath.FromSlash(at))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(strings.ReplaceAll(target, "ROOT", root), p); err != nil {
			t.Fatal(err)
		}
	}
	if d.also != nil {
		d.also(t, root)
	}
	if d.at != nil {
		return d.at(configs)
	}
	return configs
}

const poolsAt = "configs/provider_pools.json"

// pools is a directory with nothing but pools.
func pools(doc string) dir { return dir{files: map[string]string{poolsAt: doc}} }

// one is a directory with one file beside empty pools.
func one(p, data string) dir { return dir{files: map[string]string{poolsAt: "{}", p: data}} }

// naming makes pools of providers that name token files.
func naming(paths ...string) string {
	var defs []string
	for i, p := range paths {
		defs = append(defs, `{"uuid":"`+string(rune('a'+i))+`","KIRO_OAUTH_CREDS_FILE_PATH":`+string(rawjson.Quote(p))+`}`)
	}
	return `{"claude-kiro-oauth":[` + strings.Join(defs, ",") + `]}`
}

// token is a directory with one provider and its token.
func token(data string) dir {
	return dir{files: map[string]string{poolsAt: naming("configs/kiro/t.json"), "configs/kiro/t.json": data}}
}

// pathNote is a warning about the path of provider i of [naming].
func pathNote(code string, i string) string {
	return code + " " + poolsAt + " claude-kiro-oauth[" + i + "].KIRO_OAUTH_CREDS_FILE_PATH"
}

func refused(name, code, file, says string, d dir) Case {
	return Case{Name: name, Dir: d.make, Code: code, File: file, Says: says}
}

func taken(name string, d dir, notes ...string) Case {
	return Case{Name: name, Dir: d.make, Notes: notes}
}

func (c Case) without(paths ...string) Case {
	c.LeftOut = paths
	return c
}

func (c Case) big() Case {
	c.Big = true
	return c
}

// Cases are all of them: the fixtures under broken/, and others of their kinds.
// fixtures is where the fixtures are.
func Cases(t *testing.T, fixtures string) []Case {
	t.Helper()
	all := slices.Concat(brokenCases(t, fixtures), documentCases(), twiceCases(), oddCases(), nameCases(), sizeCases(), pathCases(), linkCases(), specialCases(), providerCases())
	seen := map[string]bool{}
	for _, c := range all {
		if seen[c.Name] {
			t.Errorf("two cases are called %s", c.Name)
		}
		seen[c.Name] = true
	}
	return all
}

// Carried reads what an export of a case that is taken must have, by path, as
// any program would read it: links followed as the system does.
func (c Case) Carried(t *testing.T, configs string) map[string]string {
	t.Helper()
	want := map[string]string{}
	var walk func(dir, at string, depth int)
	walk = func(dir, at string, depth int) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			p := path.Join(at, e.Name())
			if slices.Contains(c.LeftOut, p) || p == "configs/temp" || depth > 40 {
				continue
			}
			full := dir + string(filepath.Separator) + e.Name()
			info, err := os.Stat(full)
			if err != nil {
				t.Fatalf("%s: %v", p, err)
			}
			if info.IsDir() {
				walk(full, p, depth+1)
				continue
			}
			if strings.HasSuffix(p, ".tmp") || strings.HasSuffix(p, ".lock") {
				continue
			}
			if info.Mode()&fs.ModeType != 0 {
				t.Fatalf("%s is no file, and must be left out", p)
			}
			data, err := os.ReadFile(full)
			if err != nil {
				t.Fatal(err)
			}
			want[p] = string(data)
		}
	}
	walk(configs, "configs", 0)
	return want
}
