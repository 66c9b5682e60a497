// Package deploy_test holds what is in this directory to what the service does:
// each file is used as an operator would use it, as far as one machine can.
package deploy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v2"
)

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// parseYAML reads a file strictly: a key that stands twice is an error.
func parseYAML(t *testing.T, path string, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(read(t, path)), into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// build builds the program once for all tests.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "poolkeeper-deploy-")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "poolkeeper")
	out, err := exec.Command("go", "build", "-o", bin, "../cmd/poolkeeper").CombinedOutput()
	if err != nil {
		return "", &exec.Error{Name: "go build: " + string(out), Err: err}
	}
	return bin, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if bin, err := build(); err == nil {
		os.RemoveAll(filepath.Dir(bin))
	}
	os.Exit(code)
}

func program(t *testing.T) string {
	t.Helper()
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

const apiKey = "FAKE-key-of-the-deployment"

// A service is a running `poolkeeper serve`.
type service struct {
	url  string
	stop func() (code int, output string)
}

// serve runs the service; credential is nil where it is to be the own user.
func serve(t *testing.T, bin string, env []string, credential *syscall.Credential) *service {
	t.Helper()
	cmd := exec.Command(bin, "serve", "--json")
	cmd.Env, cmd.Dir = env, t.TempDir()
	if credential != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := sync.OnceValue(func() int {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		return cmd.ProcessState.ExitCode()
	})
	s := &service{stop: func() (int, string) { code := ended(); return code, errOut.String() }}
	t.Cleanup(func() { ended() })
	var said struct{ URL string }
	if err := json.NewDecoder(out).Decode(&said); err != nil {
		_, text := s.stop()
		t.Fatalf("it did not start: %v\n%s", err, text)
	}
	s.url = said.URL
	return s
}

// run runs one command of the program.
func run(t *testing.T, bin string, env []string, args ...string) string {
	t.Helper()
	cmd := exec.Command(bin, args...)
	cmd.Env, cmd.Dir = env, t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (s *service) get(t *testing.T, method, path string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// fixture is the configs/ directory of a gateway.
func fixture(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../testdata/fixtures/typical/configs")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func environ(pairs ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "POOLKEEPER_API_KEY=" + apiKey}, pairs...)
}

// lines returns the lines of a file that are neither empty nor comments.
func lines(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			out = append(out, line)
		}
	}
	return out
}
