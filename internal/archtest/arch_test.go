// Package archtest holds the import arrows of the module: what each package may
// import of this module and of others. A package that is not in the table
// fails, so that whoever adds one decides where it belongs.
package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/poolkeeper/poolkeeper"

// Modules of others, by the name that the table uses.
const (
	cobra     = "github.com/spf13/cobra"
	gocmp     = "github.com/google/go-cmp"
	goleak    = "go.uber.org/goleak"
	huma      = "github.com/danielgtaylor/huma/v2"
	pflag     = "github.com/spf13/pflag"
	porcupine = "github.com/anishathalye/porcupine"
	prom      = "github.com/prometheus/client_golang"
	rapid     = "pgregory.net/rapid"
	rueidis   = "github.com/redis/rueidis"
)

// rule says what the non-test files of a package may import beside the
// standard library.
type rule struct {
	own    []string // packages of this module, "." being the root
	others []string // modules of others, as they stand in go.mod
	later  bool     // the package need not exist yet
}

var table = map[string]rule{
	".":                {own: []string{"internal/rawjson"}},
	"internal/rawjson": {},
	"internal/show":    {},
	"internal/vfs":     {},
	"internal/feed":    {own: []string{"."}},

	// Backends. They never import each other, save that filestore is memstore,
	// the state machine, with a journal and files.
	"memstore":   {own: []string{".", "internal/feed", "internal/rawjson"}},
	"redisstore": {own: []string{".", "internal/feed", "internal/rawjson", "internal/show"}, others: []string{rueidis}},
	"filestore":  {own: []string{".", "configdir", "internal/rawjson", "internal/show", "internal/vfs", "journal", "memstore"}},

	// Layers over a backend.
	"journal":          {own: []string{".", "internal/vfs"}},
	"replica/backlog":  {own: []string{".", "internal/vfs", "journal"}},
	"replica/queue":    {own: []string{".", "replica/backlog"}},
	"replica/snapshot": {own: []string{".", "configdir", "internal/show", "internal/vfs"}},
	"replica":          {own: []string{".", "memstore", "internal/feed"}},

	// The factory: the only package that names all backends.
	"open":              {own: []string{".", "memstore", "redisstore", "filestore", "replica", "replica/backlog", "replica/queue", "replica/snapshot", "journal", "configdir", "internal/settings"}},
	"internal/settings": {own: []string{".", "internal/rawjson"}},

	// What people and programs call.
	"configdir": {own: []string{".", "internal/rawjson", "internal/show", "internal/vfs"}},
	"transfer":  {own: []string{".", "configdir", "internal/rawjson", "internal/show"}},
	"server":    {own: []string{".", "internal/rawjson", "internal/settings"}, others: []string{huma}},
	"client":    {own: []string{"."}},

	"internal/metrics": {own: []string{"."}, others: []string{prom}},
	"cmd/poolkeeper": {
		own:    []string{".", "client", "open", "configdir", "journal", "replica/backlog", "transfer", "server", "internal/bench", "internal/metrics", "internal/rawjson", "internal/settings"},
		others: []string{cobra, pflag},
	},

	// Programs of others, by example: they name the backend that they embed.
	"examples/gateway": {own: []string{".", "redisstore", "replica"}},

	// Test harnesses and tools. Nothing that is shipped imports them.
	"internal/bench":       {own: []string{".", "configdir", "transfer"}, others: []string{rueidis}},
	"storetest":            {own: []string{".", "internal/rawjson", "memstore"}, others: []string{porcupine, rapid, gocmp}},
	"storetest/mutants":    {},
	"internal/dirtest":     {own: []string{".", "internal/rawjson"}},
	"internal/redistest":   {others: []string{rueidis, goleak}},
	"internal/vfs/faultfs": {own: []string{"internal/vfs"}},
	"internal/tools/skips": {},
}

var (
	backends  = []string{"memstore", "redisstore", "filestore"}
	harnesses = []string{"internal/dirtest", "storetest", "storetest/mutants", "internal/redistest", "internal/vfs/faultfs", "internal/tools/skips"}
)

// listed is what this test needs of `go list -json`.
type listed struct {
	ImportPath string
	Standard   bool
	Module     *struct{ Path string }
	GoFiles    []string
	CgoFiles   []string
	Imports    []string
}

// imports holds the direct imports of the non-test files of one package.
type imports struct {
	own    []string // relative to the module
	others []string // modules
}

// load lists the packages of the module that have non-test files.
func load(t *testing.T) map[string]imports {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Standard,Module,GoFiles,CgoFiles,Imports", "./...")
	cmd.Dir = root(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	all := map[string]listed{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all[p.ImportPath] = p
	}
	found := map[string]imports{}
	for path, p := range all {
		if p.Module == nil || p.Module.Path != module || len(p.GoFiles)+len(p.CgoFiles) == 0 {
			continue
		}
		var im imports
		for _, i := range p.Imports {
			d := all[i]
			switch {
			case i == "C" || i == "unsafe" || d.Standard:
			case d.Module != nil && d.Module.Path == module:
				im.own = append(im.own, relative(i))
			case d.Module != nil:
				im.others = append(im.others, d.Module.Path)
			default:
				t.Errorf("%s imports %s, which belongs to no module", relative(path), i)
			}
		}
		found[relative(path)] = im
	}
	if len(found) == 0 {
		t.Fatal("go list found no package")
	}
	return found
}

func TestImports(t *testing.T) {
	found := load(t)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		r, ok := table[name]
		if !ok {
			t.Errorf("%s is not in the table: decide what it may import, and who may import it", name)
			continue
		}
		for _, i := range found[name].own {
			if !slices.Contains(r.own, i) {
				t.Errorf("%s imports %s of this module, and may not", name, i)
			}
		}
		for _, i := range found[name].others {
			if !slices.Contains(r.others, i) {
				t.Errorf("%s imports module %s, and may not", name, i)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		if _, ok := found[name]; !ok && !table[name].later {
			t.Errorf("%s is in the table, and there is no such package", name)
		}
	}
}

// TestTable checks the table itself, so that an entry cannot quietly take back
// what the design rests on.
func TestTable(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(table)) {
		r := table[name]
		for _, i := range r.own {
			if _, ok := table[i]; !ok {
				t.Errorf("%s may import %s, which is not in the table", name, i)
			}
			if slices.Contains(harnesses, i) && !slices.Contains(harnesses, name) {
				t.Errorf("%s may import %s, which is for tests", name, i)
			}
			machine := (name == "filestore" || name == "replica") && i == "memstore"
			if slices.Contains(backends, i) && name != "open" && !machine && !slices.Contains(harnesses, name) && !strings.HasPrefix(name, "examples/") {
				t.Errorf("%s may import the backend %s, and only open names backends", name, i)
			}
			if i == "open" && name != "cmd/poolkeeper" {
				t.Errorf("%s may import open, and only a program does", name)
			}
		}
	}
	if r := table["."]; len(r.others) > 0 || !slices.Equal(r.own, []string{"internal/rawjson"}) {
		t.Errorf("the root package may import %v and %v, want the standard library and internal/rawjson", r.own, r.others)
	}
	if r := table["internal/rawjson"]; len(r.own)+len(r.others) > 0 {
		t.Errorf("internal/rawjson may import %v and %v, want the standard library", r.own, r.others)
	}
}

// root returns the directory of go.mod.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func relative(path string) string {
	if path == module {
		return "."
	}
	return strings.TrimPrefix(path, module+"/")
}
