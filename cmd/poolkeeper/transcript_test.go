package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

var update = flag.Bool("update", false, "write what the commands of docs/start.md print into it")

const startPage = "../../docs/start.md"

var (
	consoleBlock = regexp.MustCompile("(?s)```console\n.*?```\n")
	// varying is what differs from run to run.
	varying = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z|\d+-[0-9a-f]{16}-\d+|\b[0-9a-f]{16,64}\b|process \d+`)
)

// TestTranscript runs the commands of the page for the first ten minutes in one shell,
// and holds what they print to what is there.
func TestTranscript(t *testing.T) {
	data, err := os.ReadFile(startPage)
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	var commands []string
	for _, block := range consoleBlock.FindAllString(page, -1) {
		for line := range strings.Lines(block) {
			if c, ok := strings.CutPrefix(line, "$ "); ok {
				commands = append(commands, strings.TrimSpace(c))
			}
		}
	}
	printed := runTranscript(t, commands)
	n := 0
	now := consoleBlock.ReplaceAllStringFunc(page, func(block string) string {
		out := "```console\n"
		for line := range strings.Lines(block) {
			if strings.HasPrefix(line, "$ ") {
				out += line + printed[n]
				n++
			}
		}
		return out + "```\n"
	})
	if *update {
		if err := os.WriteFile(startPage, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(varying.ReplaceAllString(page, "V"), varying.ReplaceAllString(now, "V")); diff != "" {
		t.Errorf("the commands print something else than docs/start.md has; make transcript writes it down:\n%s", diff)
	}
	if n < 15 {
		t.Errorf("only %d commands", n)
	}
}

// runTranscript runs commands one after the other in one shell, and returns what each has
// printed. The page's ports are replaced by free ones, and its home is a new directory.
func runTranscript(t *testing.T, commands []string) []string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	home, err := os.MkdirTemp("", "pk") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(home)
	redis := redistest.Start(t).Addr()
	here := strings.NewReplacer("127.0.0.1:8787", addr, "127.0.0.1:6379", redis)
	const end = "\x1e"
	script := "exec 2>&1\ntrap 'kill $(jobs -p) 2>/dev/null' EXIT\n"
	for _, c := range commands {
		script += fmt.Sprintf("%s\nprintf '%s'\n", here.Replace(c), end)
	}
	script += "exit 0\n"
	cmd := exec.CommandContext(t.Context(), "bash", "--norc", "-c", script)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "POOLKEEPER_ADDR=" + addr, "LC_ALL=C", "GORACE=atexit_sleep_ms=20"}
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text := strings.NewReplacer(addr, "127.0.0.1:8787", redis, "127.0.0.1:6379", home, "/home/you").Replace(string(out))
	printed := strings.Split(text, end)
	if len(printed) != len(commands)+1 {
		t.Fatalf("%d commands, and %d have ended: %s", len(commands), len(printed)-1, text)
	}
	for i, p := range printed {
		if p != "" && !strings.HasSuffix(p, "\n") { // curl ends no line
			printed[i] += "\n"
		}
	}
	return printed
}
