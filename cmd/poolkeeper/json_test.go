package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// A shape is what the docs say of the JSON of a command: the types of its fields.
type shape map[string]string

// documents is the shape of what is no object of ours.
const documents = "document"

var quoted = regexp.MustCompile("`([^`]+)`")

// shapes reads the page of the command line: a heading names commands, the table
// below it has their fields.
func shapes(t *testing.T) map[string]shape {
	t.Helper()
	page, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "\n## JSON\n")
	text, _, _ = strings.Cut(text, "\n## ")
	all := map[string]shape{}
	for _, section := range strings.Split(text, "\n### ")[1:] {
		heading, body, _ := strings.Cut(section, "\n")
		s := shape{}
		for line := range strings.Lines(body) {
			cells := strings.Split(line, "|")
			if len(cells) < 4 || !strings.Contains(cells[1], "`") {
				continue
			}
			for _, m := range quoted.FindAllStringSubmatch(cells[1], -1) {
				if s[m[1]] != "" {
					t.Errorf("%s: %s stands twice", heading, m[1])
				}
				s[m[1]] = strings.TrimSpace(cells[2])
			}
		}
		if len(s) == 0 {
			s = shape{"": documents}
		}
		names := []string{heading} // that of the errors
		if found := quoted.FindAllStringSubmatch(heading, -1); found != nil {
			names = nil
			for _, m := range found {
				names = append(names, m[1])
			}
		}
		for _, n := range names {
			if all[n] != nil {
				t.Errorf("%s stands twice", n)
			}
			all[n] = s
		}
	}
	return all
}

// check holds a value to the shape, and returns what is wrong.
func (s shape) check(out string) (faults []string) {
	var v any
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		return []string{fmt.Sprintf("%v: %.200q", err, out)}
	}
	if s[""] == documents {
		return nil
	}
	if list, ok := v.([]any); ok {
		for _, e := range list {
			faults = append(faults, s.fields("[].", e)...)
		}
		return faults
	}
	return s.fields("", v)
}

// fields holds an object to what is said of those below a path.
func (s shape) fields(at string, v any) (faults []string) {
	object, ok := v.(map[string]any)
	if !ok {
		return []string{at + " is no object"}
	}
	for name, v := range object {
		path := at + name
		typ, documented := s[path]
		if !documented {
			faults = append(faults, path+" is not documented")
			continue
		}
		faults = append(faults, s.value(path, strings.TrimSuffix(typ, "?"), v)...)
	}
	for path, typ := range s {
		name, below := strings.CutPrefix(path, at)
		if _, there := object[name]; below && !there && !strings.ContainsAny(name, ".[") && !strings.HasSuffix(typ, "?") {
			faults = append(faults, path+" is documented, and absent")
		}
	}
	return faults
}

func (s shape) value(path, typ string, v any) (faults []string) {
	if typ == documents {
		return nil
	}
	of, isList := strings.CutPrefix(typ, "array of ")
	ofMap, isMap := strings.CutPrefix(typ, "map of ")
	switch v := v.(type) {
	case []any:
		if !isList {
			return []string{path + " is an array, documented as " + typ}
		}
		for _, e := range v {
			faults = append(faults, s.value(path+"[]", strings.TrimSuffix(of, "s"), e)...)
		}
		return faults
	case map[string]any:
		if isMap {
			for k, e := range v {
				faults = append(faults, s.value(path+"."+k, strings.TrimSuffix(ofMap, "s"), e)...)
			}
			return faults
		}
		if typ == "object" {
			return s.fields(path+".", v)
		}
	}
	is := map[string]string{"string": "string", "float64": "number", "bool": "boolean"}[fmt.Sprintf("%T", v)]
	if is != typ {
		return []string{fmt.Sprintf("%s is %T, documented as %s", path, v, typ)}
	}
	return nil
}

// TestJSON walks the commands: each that prints a result has the fields of its JSON
// in the docs, and prints these and no others.
func TestJSON(t *testing.T) {
	t.Parallel()
	all := shapes(t)
	known := []string{"Errors"}
	for _, cmd := range everyCommand() {
		path := pathOf(cmd)
		known = append(known, path)
		if all[path] == nil && path != "completion" {
			t.Errorf("docs/cli.md has nothing of the JSON of %s", path)
		}
	}
	for path := range all {
		if !slices.Contains(known, path) {
			t.Errorf("docs/cli.md has the JSON of %s, which is no command", path)
		}
	}
	seen, refused := map[string]int{}, 0
	hold := func(path, out string) {
		t.Helper()
		seen[path]++
		if faults := all[path].check(out); len(faults) > 0 {
			t.Errorf("%s: %s\n%.600s", path, strings.Join(faults, "; "), out)
		}
	}
	run := func(w *world, l line) {
		t.Helper()
		path := l.args[0]
		if len(l.args) > 1 && all[path] == nil {
			path = strings.Join(l.args[:2], " ")
		}
		l.args = append(slices.Clone(l.args), "--json")
		code, out, errOut := w.run(t, l)
		if out != "" {
			hold(path, out)
		} else if code == 0 {
			t.Errorf("%q prints nothing", l.args)
		}
		if code != 0 {
			lines := strings.Split(strings.TrimSpace(errOut), "\n")
			hold("Errors", lines[len(lines)-1])
			refused++
			var e struct{ Error struct{ Exit int } }
			if err := json.Unmarshal([]byte(lines[len(lines)-1]), &e); err != nil || e.Error.Exit != code {
				t.Errorf("%q: exit code %d: %s", l.args, code, errOut)
			}
		}
	}
	w := newWorld(t, "", "")
	for _, l := range besideLines {
		run(w, l)
	}
	for _, l := range []line{
		typed("", "status"), typed("", "journal", "list"), typed("", "journal", "repair"), typed("", "version"), typed("", "man", "OUT/man"),
		typed("", "export", "--output-dir", "OUT", "--force"), typed("", "export", "--output-dir", "OUT", "--dry-run", "--force"),
		typed("", "bench", "--duration", "20ms", "--callers", "1", "--providers", "3", "--import", "20"),
		typed("", "init", "--config-dir", filepath.Join(w.dir, "made", "configs")), typed("", "frobnicate"), typed("", "status", "--redis-url", "redis://127.0.0.1:1"),
	} {
		run(w, l)
	}
	if err := fillBacklog(filepath.Join(w.dir, "queued", "journal"), true); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"journal", "list"}, {"journal", "retry", "2"}, {"journal", "discard", "--all"}} {
		run(w, line{args: append(args, "--state-dir", filepath.Join(w.dir, "queued"))})
	}
	hold("serve", startService(t, w.env).said)
	run(w, typed("", "status"))
	var st poolkeeper.State
	st.Set(poolkeeper.UsageCount, "1")
	st.Set(poolkeeper.LastErrorTime, poolkeeper.Absent)
	hold("watch", string(eventLine("ready", time.Now(), poolkeeper.Change{Kind: poolkeeper.ChangeReady})))
	hold("watch", string(eventLine("change", time.Now(), poolkeeper.Change{Kind: poolkeeper.ChangeRename, Key: poolkeeper.PoolKey("t"), ID: "a", NewID: "b",
		Definition: []byte(`{"uuid":"b"}`), States: []poolkeeper.ProviderState{{ID: "b", State: st, Whole: true}}})))
	edge := newWorld(t, "", "")
	edge.env["POOLKEEPER_CONFIG_DIR"] = filepath.Join(fixtures(t), "edge", "configs") // with warnings, and differences
	edge.env["REDIS_URL"] = standalone(t).url
	for _, args := range [][]string{{"import", "--dry-run"}, {"import"}, {"verify"}, {"provider", "list"}, {"status"}, {"verify", "--config-dir", filepath.Join(edge.dir, "given", "configs")}} {
		run(edge, line{args: args})
	}
	srv := redistest.Start(t)
	lost := newWorld(t, srv.URL(), "lost:")
	startService(t, lost.env)
	srv.FlushAll()
	for _, args := range [][]string{{"status"}, {"recover"}, {"recover"}, {"status"}} {
		run(lost, line{args: args})
	}
	for _, path := range known {
		if seen[path] == 0 && path != "completion" {
			t.Errorf("%s was not seen to print JSON", path)
		}
	}
	if refused < 10 {
		t.Errorf("only %d errors", refused)
	}
}

// TestJSONOfDocuments: documents are JSON with and without the flag, and the same.
func TestJSONOfDocuments(t *testing.T) {
	w := newWorld(t, "", "")
	for _, args := range [][]string{{"config", "get"}, {"config", "get", "HOST"}, {"doc", "get", "plugins.json"}, {"token", "get", besideType, besideID}, {"provider", "get", besideType, besideID}} {
		plain, _ := expect(t, w.env, 0, "", args...)
		flagged, _ := expect(t, w.env, 0, "", append(args, "--json")...)
		if plain != flagged || !json.Valid([]byte(plain)) {
			t.Errorf("%q:\n%s\n%s", args, plain, flagged)
		}
	}
}
