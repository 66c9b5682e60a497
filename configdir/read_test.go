package configdir_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
)

func link(t *testing.T, target, at string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, at); err != nil {
		t.Fatal(err)
	}
}

func values(snap *poolkeeper.Snapshot) map[string]string {
	m := map[string]string{}
	for k, d := range snap.Values {
		m[k.String()] = string(d.Data)
	}
	return m
}

func TestLinks(t *testing.T) {
	dir := dirtest.WriteTree(t, map[string]string{
		"configs/kiro/real/a.json":    `{"a":1}`,
		"beside/b.json":               `{"b":1}`,
		"beside/sub/c.json":           `{"c":1}`,
		"configs/provider_pools.json": `{"t":[{"uuid":"1","A_TOKEN_FILE_PATH":"configs/kiro/up/b.json"},{"uuid":"2","A_TOKEN_FILE_PATH":"configs/out.json"},{"uuid":"3","A_TOKEN_FILE_PATH":"configs/loop/x"},{"uuid":"4","A_TOKEN_FILE_PATH":"configs/abs.json"}]}`,
	})
	root := filepath.Dir(dir)
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("SECRET"), 0o600); err != nil {
		t.Fatal(err)
	}
	link(t, "../../beside", filepath.Join(dir, "kiro", "up"))
	link(t, "real/a.json", filepath.Join(dir, "kiro", "a.json"))
	link(t, filepath.Join(root, "beside", "b.json"), filepath.Join(dir, "abs.json"))
	link(t, filepath.Join(outside, "secret"), filepath.Join(dir, "out.json"))
	link(t, "../../"+filepath.Base(root)+"/beside/b.json", filepath.Join(dir, "over.json")) // leaves the root and comes back
	link(t, "../../beside/b.json", filepath.Join(dir, "above.json"))                        // is not the one in the root
	link(t, outside, filepath.Join(dir, "outdir"))
	link(t, "loop", filepath.Join(dir, "loop"))
	link(t, "two", filepath.Join(dir, "one"))
	link(t, "one", filepath.Join(dir, "two"))
	link(t, "nothing", filepath.Join(dir, "dangling"))
	link(t, "..", filepath.Join(dir, "kiro", "parent"))
	link(t, "../..", filepath.Join(dir, "kiro", "grandparent"))
	link(t, ".", filepath.Join(dir, "kiro", "self"))
	link(t, "/", filepath.Join(dir, "kiro", "slash"))

	snap, report := read(t, dir)
	want := map[string]string{
		"token t 1":                         `{"b":1}`,
		"token-refs configs/kiro/up/b.json": `["t","1"]`,
		"token-refs configs/abs.json":       `["t","1"]`,
		"file configs/kiro/real/a.json":     `{"a":1}`,
		"file configs/kiro/a.json":          `{"a":1}`,
		"file configs/kiro/up/sub/c.json":   `{"c":1}`,
	}
	if diff := cmp.Diff(want, values(snap)); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	var paths []string
	for _, n := range report.Warnings {
		if n.Code == configdir.CodeLink {
			paths = append(paths, strings.TrimPrefix(n.Path, "configs/"))
		}
	}
	slices.Sort(paths)
	if want := []string{"above.json", "dangling", "kiro/grandparent", "kiro/parent", "kiro/self", "kiro/slash", "loop", "one", "out.json", "outdir", "over.json", "two"}; !slices.Equal(paths, want) {
		t.Errorf("links left out: %q, want %q", paths, want)
	}
	if got := whereOf(report, configdir.CodeTokenOutside, configdir.CodeTokenMissing); len(got) != 2 {
		t.Errorf("token paths not taken: %v", got)
	}
	// An export makes files of the links.
	out, _ := write(t, snap)
	again, _ := read(t, out)
	if c, err := configdir.CompareSnapshots(snap, again, nil); err != nil || !c.Equal() {
		t.Errorf("%v %v", c, err)
	}
}

// TestLinkedTrees has directories that link to each other, which makes a tree
// without end.
func TestLinkedTrees(t *testing.T) {
	dir := dirtest.WriteTree(t, nil)
	const n = 8
	for i := range n {
		for k := range n {
			if i != k {
				link(t, fmt.Sprintf("../../beside%d", k), filepath.Join(filepath.Dir(dir), fmt.Sprintf("beside%d", i), fmt.Sprint(k)))
			}
		}
		link(t, fmt.Sprintf("../beside%d", i), filepath.Join(dir, fmt.Sprint(i)))
	}
	if _, report := read(t, dir); len(report.Warnings) == 0 {
		t.Error("no warning")
	}
}

func TestLinkedConfiguration(t *testing.T) {
	outside := t.TempDir()
	for _, name := range []string{"config.json", "provider_pools.json", "pwd"} {
		if err := os.WriteFile(filepath.Join(outside, name), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, target := range []string{filepath.Join(outside, name), "nothing", name} {
			dir := dirtest.WriteTree(t, nil)
			link(t, target, filepath.Join(dir, name))
			if _, _, err := configdir.ReadDir(context.Background(), dir, nil); !errors.Is(err, poolkeeper.ErrInvalid) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s -> %s: %v", name, target, err)
			}
		}
		// As a mounted config map has it.
		dir := dirtest.WriteTree(t, map[string]string{"configs/..2026/" + name: "{}"})
		link(t, "..2026", filepath.Join(dir, "..data"))
		link(t, "..data/"+name, filepath.Join(dir, name))
		if snap, _ := read(t, dir); len(values(snap)) < 2 {
			t.Errorf("%s: %v", name, values(snap))
		}
	}
}

// TestLinkedDirectory reads a directory that is itself a link to elsewhere.
func TestLinkedDirectory(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(data, os.DirFS(dirtest.Configs("edge"))); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	link(t, data, filepath.Join(root, "configs"))
	link(t, "../secret", filepath.Join(data, "up"))
	copyOf, err := os.ReadFile(filepath.Join(dirtest.Fixtures, "edge", "kiro_creds1.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "kiro_creds1.json"), copyOf, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(data), "secret"), []byte("SECRET"), 0o600); err != nil {
		t.Fatal(err)
	}
	snap, report := read(t, filepath.Join(root, "configs"))
	want, _ := read(t, dirtest.Configs("edge"))
	dirtest.SameState(t, want, snap)
	if !slices.ContainsFunc(report.Warnings, func(n configdir.Note) bool { return n.Path == "configs/up" && n.Code == configdir.CodeLink }) {
		t.Error("the link out of the directory was not noted")
	}
}

// TestOtherName reads and writes directories that are not called configs.
func TestOtherName(t *testing.T) {
	ctx := context.Background()
	want, _ := read(t, dirtest.Configs("edge"))
	out := filepath.Join(t.TempDir(), "backup-2026")
	if _, err := configdir.WriteDir(ctx, out, want, nil); err != nil {
		t.Fatal(err)
	}
	got, _ := read(t, out)
	if c, err := configdir.CompareSnapshots(want, got, nil); err != nil || !c.Equal() {
		t.Errorf("%v %v", c, err)
	}
}

func TestTokenPaths(t *testing.T) {
	dir := dirtest.WriteTree(t, map[string]string{
		"configs/kiro/a.json":     `{"n":1}`,
		"configs/kiro/b.json":     `{"n":2}`,
		"configs/temp/up.json":    `{"n":3}`,
		"configs/x.tmp":           `{"n":4}`,
		"creds/c.json":            `{"n":5}`,
		"configs/global.json":     `{"n":6}`,
		"configs/kiro/abs.json":   `{"n":9}`,
		"beside.json":             `{"n":7}`,
		"configs/kiro/dir/x.json": `{"n":8}`,
	})
	abs, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	pools := `{"claude-kiro-oauth":[
		{"uuid":"abs","KIRO_OAUTH_CREDS_FILE_PATH":"` + abs + `/kiro/a.json"},
		{"uuid":"abs2","KIRO_OAUTH_CREDS_FILE_PATH":"` + abs + `/./kiro//abs.json"},
		{"uuid":"second","A_CREDS_FILE_PATH":"configs/kiro/b.json","B_CREDS_FILE_PATH":"configs/kiro/a.json"},
		{"uuid":"temp","KIRO_OAUTH_CREDS_FILE_PATH":"configs/temp/up.json"},
		{"uuid":"tmp","KIRO_OAUTH_CREDS_FILE_PATH":"configs/x.tmp"},
		{"uuid":"beside","KIRO_OAUTH_CREDS_FILE_PATH":"creds/c.json"},
		{"uuid":"pwd","KIRO_OAUTH_CREDS_FILE_PATH":"configs/pwd"},
		{"uuid":"config","KIRO_OAUTH_CREDS_FILE_PATH":"./configs/config.json"},
		{"uuid":"doc","KIRO_OAUTH_CREDS_FILE_PATH":"configs/plugins.json"},
		{"uuid":"root","KIRO_OAUTH_CREDS_FILE_PATH":"."},
		{"uuid":"configs","KIRO_OAUTH_CREDS_FILE_PATH":"configs/"},
		{"uuid":"under","KIRO_OAUTH_CREDS_FILE_PATH":"configs/kiro/a.json/x"},
		{"uuid":"pasted","KIRO_OAUTH_CREDS_FILE_PATH":"{\"refreshToken\":\"SECRET\"}"},
		{"uuid":"long","KIRO_OAUTH_CREDS_FILE_PATH":"` + strings.Repeat("x/", 3000) + `"}]}`
	for name, data := range map[string]string{
		"provider_pools.json": pools, "pwd": "SECRET-password", "plugins.json": "{}",
		"config.json": `{"KIRO_OAUTH_CREDS_FILE_PATH":"./beside.json","GEMINI_OAUTH_CREDS_FILE_PATH":"../out.json"}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	snap, report := read(t, dir)
	const kiro = "claude-kiro-oauth "
	got := values(snap)
	for k, want := range map[string]string{
		"token " + kiro + "abs": `{"n":1}`, "token " + kiro + "second": `{"n":2}`, "token " + kiro + "temp": `{"n":3}`,
		"token " + kiro + "tmp": `{"n":4}`, "token " + kiro + "beside": `{"n":5}`,
		"token-refs " + abs + "/kiro/a.json": `["claude-kiro-oauth","abs"]`, "token-refs configs/kiro/a.json": `["claude-kiro-oauth","abs"]`,
		"token-refs " + abs + "/kiro/abs.json": `["claude-kiro-oauth","abs2"]`, "token-refs configs/kiro/abs.json": `["claude-kiro-oauth","abs2"]`,
		"file beside.json": `{"n":7}`, "file configs/global.json": `{"n":6}`,
	} {
		if got[k] != want {
			t.Errorf("%s is %q, want %q", k, got[k], want)
		}
	}
	if n := len(whereOf(report, configdir.CodeTokenSecond)); n != 0 {
		t.Errorf("%d second files, and each is the first of somebody", n)
	}
	if report.Tokens != 6 || report.TokenFiles != 6 || len(report.Transient) != 0 {
		t.Errorf("%d tokens, %d files, transient %v", report.Tokens, report.TokenFiles, report.Transient)
	}
	if n := len(whereOf(report, configdir.CodeTokenReserved)); n != 3 {
		t.Errorf("%d reserved, want 3", n)
	}
	if n := len(whereOf(report, configdir.CodeTokenDirectory)); n != 2 {
		t.Errorf("%d directories, want 2", n)
	}
	if n := len(whereOf(report, configdir.CodeTokenMissing)); n != 3 {
		t.Errorf("%d missing, want 3", n)
	}
	for _, n := range report.Warnings {
		if strings.Contains(n.String(), "SECRET") || len(n.String()) > 600 {
			t.Errorf("a note says too much: %.300s", n)
		}
	}
	out, _ := write(t, snap)
	if c, err := configdir.CompareSnapshots(snap, first(read(t, out)), nil); err != nil || !c.Equal() {
		t.Errorf("%v %v", c, err)
	}
}

func first[A, B any](a A, _ B) A { return a }

func TestOddities(t *testing.T) {
	long := strings.Repeat("n", 250) + ".json"
	files := map[string]string{
		"configs/provider_pools.json": "\xef\xbb\xbf" + `{"b":[{"uuid":"1"}],"a":[{"uuid":"2","x":1,"x":2,"\u0078":3}],"b":[{"uuid":"3","note":"` + "\xff" + `"},{"uuid":"4","lastUsed":"yesterday"}]}`,
		"configs/config.json":         `{"a":1,"a":2}`,
		"configs/ space ":             "1",
		"configs/new\nline":           "2",
		"configs/" + long:             "3",
		"configs/-rf":                 "4",
		"configs/a\\b":                "5",
		"configs/~":                   "6",
		"configs/*[?]{}":              "7",
		"configs/...":                 "8",
		"configs/ü":                   "9",
		"configs/u\u0308":             "10",
		"configs/x.lock/y":            "11",
		"configs/sub/temp/z":          "12",
		"configs/empty":               "",
		"configs/sub/plugins.json":    "{",
		"configs/market.json":         "{",
	}
	dir := dirtest.WriteTree(t, files)
	if err := os.WriteFile(filepath.Join(dir, "no-utf8-\xff"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	snap, report := read(t, dir)
	if want := []string{"b", "a"}; !slices.Equal(snap.Types, want) || len(snap.Pools["b"].Providers) != 2 {
		t.Errorf("types %q, %d providers of b", snap.Types, len(snap.Pools["b"].Providers))
	}
	codes := map[configdir.Code]int{}
	for _, n := range report.Warnings {
		codes[n.Code]++
	}
	if diff := cmp.Diff(map[configdir.Code]int{
		configdir.CodeBOM: 1, configdir.CodeDuplicateType: 1, configdir.CodeDuplicateKey: 3, configdir.CodeUTF8: 1, configdir.CodeTime: 1,
		configdir.CodeName: 1, configdir.CodeDocument: 1,
	}, codes); diff != "" {
		t.Errorf("codes (-want +got):\n%s\n%v", diff, report.Warnings)
	}
	out, _ := write(t, snap)
	got := dirtest.Tree(t, filepath.Dir(out))
	for p, data := range files {
		if p != "configs/provider_pools.json" && got[p] != data {
			t.Errorf("%q is %q, want %q", p, got[p], data)
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := configdir.ReadDir(ctx, dirtest.Configs("typical"), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("ReadDir: %v", err)
	}
	snap, _ := read(t, dirtest.Configs("typical"))
	dir := filepath.Join(t.TempDir(), "configs")
	if _, err := configdir.WriteDir(ctx, dir, snap, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("WriteDir: %v", err)
	}
}

// What an instance keeps in its directory is no part of it.
func TestLockFileIsNothing(t *testing.T) {
	dir := dirtest.WriteTree(t, map[string]string{"configs/.poolkeeper.lock": "1 /state\n", "configs/a.lock": "x", "configs/config.json": "{}"})
	snap, report, err := configdir.ReadDir(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(snap.Values) != 1 || report.Scanned != 2 || len(report.Transient) != 1 || report.Transient[0] != "configs/a.lock" {
		t.Errorf("%d values, %d files, transient %q", len(snap.Values), report.Scanned, report.Transient)
	}
}
