package deploy_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestACLFilesLoad: a Redis and a sentinel take the files of users as their
// aclfile, let in that user alone, and to what it may do alone.
func TestACLFilesLoad(t *testing.T) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("redis-server is missing; run scripts/require-redis")
	}
	for _, c := range []struct {
		file, mode, extra string
		may, mayNot       string
	}{
		{"users.acl", "", "", "SET aiclient:x y", "SET other:x y"},
		{"sentinel-users.acl", "--sentinel", "sentinel monitor m 127.0.0.1 1 1\n", "SENTINEL SENTINELS m", "SENTINEL FAILOVER m"},
	} {
		t.Run(c.file, func(t *testing.T) {
			users, err := filepath.Abs("redis/" + c.file)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			socket, conf := filepath.Join(dir, "s"), filepath.Join(dir, "conf")
			text := fmt.Sprintf("port 0\nunixsocket %s\ndir %s\naclfile %s\n%s", socket, dir, users, c.extra)
			if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(path, conf)
			if c.mode != "" {
				cmd.Args = append(cmd.Args, c.mode)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				cmd.Process.Kill()
				cmd.Wait()
			})
			var log strings.Builder
			for lines := bufio.NewScanner(out); ; {
				if !lines.Scan() {
					t.Fatalf("it did not start:\n%s", log.String())
				}
				log.WriteString(lines.Text() + "\n")
				if strings.Contains(lines.Text(), "ready to accept connections") || strings.Contains(lines.Text(), "+monitor") {
					break
				}
			}
			conn, err := net.Dial("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			answers := bufio.NewReader(conn)
			for _, step := range [][2]string{
				{"PING", "-NOAUTH"}, {"AUTH poolkeeper wrong", "-WRONGPASS"}, {c.may, "-NOAUTH"},
				{"AUTH poolkeeper PASSWORD", "+OK"}, {c.mayNot, "-NOPERM"}, {"ACL LIST", "-NOPERM"}, {c.may, ""},
			} {
				if _, err := fmt.Fprintf(conn, "%s\r\n", step[0]); err != nil {
					t.Fatal(err)
				}
				got, err := answers.ReadString('\n')
				if err != nil {
					t.Fatalf("%s: %v", step[0], err)
				}
				if !strings.HasPrefix(got, step[1]) || step[1] == "" && got[0] == '-' {
					t.Errorf("%s: %q, want %q", step[0], got, step[1])
				}
			}
		})
	}
}
