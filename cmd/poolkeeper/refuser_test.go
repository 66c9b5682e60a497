package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// A refuser is a store with secrets, and the directories of the commands.
type refuser struct {
	*testing.T
	srv, locked *redistest.Server
	work        string // everything that is watched
	env         map[string]string
	service     *service
	output      map[string]string
	storeBefore string
	filesBefore string
}

func newRefuser(t *testing.T) *refuser {
	b := &refuser{T: t, srv: redistest.Start(t), locked: redistest.Start(t, redistest.WithPassword("FAKE-password-of-redis")), work: t.TempDir(), output: map[string]string{}}
	b.env = map[string]string{
		"HOME": t.TempDir(), "REDIS_URL": b.srv.URL(), "REDIS_KEY_PREFIX": "typical:", "REDIS_COMMAND_TIMEOUT": "20000",
		"POOLKEEPER_CONFIG_DIR": filepath.Join(b.work, "typical", "configs"), "POOLKEEPER_STATE_DIR": filepath.Join(b.work, "state"),
		"POOLKEEPER_API_KEY": "FAKE-key-of-the-service", "POOLKEEPER_LOG_LEVEL": "debug", "POOLKEEPER_LOG_FORMAT": "json",
	}
	if err := os.CopyFS(filepath.Join(b.work, "typical"), os.DirFS(filepath.Join(fixtures(t), "typical"))); err != nil {
		t.Fatal(err)
	}
	expect(t, b.env, 0, "", "import")
	// What is no layout of ours.
	b.srv.Do("SET", "foreign:config", `{"apiKey":"`+planted+`"}`)
	b.srv.Do("HSET", "foreign:pools:x", "one", `{"uuid":"one"}`)
	b.srv.Do("SET", "wrong:pools:x", planted)
	b.srv.Do("HSET", "broken:pools:x", "one", `{"apiKey":"`+planted+`"`)
	b.srv.Do("SET", "broken:sessions:"+planted, `{}`)
	b.srv.Do("SET", "strange:"+planted, planted)
	b.service = startService(t, b.env)
	b.use()
	return b
}

// stored is a hash of everything that is in Redis, what the store keeps for
// itself as well.
func (b *refuser) stored() string { return redistest.Hash(b.srv.Dump()) }

// files is what lies in its directory, but for the snapshots that the service writes in
// its own time.
func (b *refuser) files() string {
	return watch(b.T, b.work, filepath.Join(b.work, "state", "snapshot"))
}

// unchanged compares everything that is stored with what was before.
func (b *refuser) unchanged(name string, files bool) {
	b.Helper()
	if now := b.stored(); now != b.storeBefore {
		b.Errorf("%s: the store was changed", name)
		b.storeBefore = now
	}
	if !files {
		return
	}
	if now := b.files(); now != b.filesBefore {
		b.Errorf("%s: files were changed:\n%s", name, cmp.Diff(b.filesBefore, now))
		b.filesBefore = now
	}
}

func (b *refuser) call(name string, row *refusal, args ...string) (class poolkeeper.ErrorClass, code int, out, errOut string) {
	b.Helper()
	class, ok := poolkeeper.ClassOfCode(row.code)
	if !ok {
		b.Fatalf("%s: no code %s", name, row.code)
	}
	env := maps.Clone(b.env)
	maps.Copy(env, row.env)
	code, out, errOut = call(b.Context(), env, row.stdin, args...)
	b.output[name] += out + errOut
	if out != "" && !row.prints {
		b.Errorf("%s prints %q", name, excerpt(out))
	}
	return class, code, out, errOut
}

// command runs a row as people see it.
func (b *refuser) command(name string, row *refusal) {
	b.Helper()
	class, code, _, errOut := b.call(name, row, row.args...)
	if code != class.Exit || !strings.Contains(errOut, row.names) || !strings.Contains(errOut, "poolkeeper: ") {
		b.Errorf("%s: exit code %d, want %d and %q: %s", name, code, class.Exit, row.names, errOut)
	}
	if _, hint, ok := strings.Cut(errOut, "\nhint: "); !ok || len(hint) < 10 {
		b.Errorf("%s has no hint: %s", name, errOut)
	}
}

// commandJSON runs a row with --json.
func (b *refuser) commandJSON(name string, row *refusal) {
	b.Helper()
	class, code, _, errOut := b.call(name, row, append([]string{"--json"}, row.args...)...)
	var said struct {
		Error struct {
			Code, Message, Hint string
			Exit                int
		}
	}
	lines := strings.Split(strings.TrimSpace(errOut), "\n")
	err := json.Unmarshal([]byte(lines[len(lines)-1]), &said)
	e := said.Error
	if err != nil || e.Code != row.code || e.Exit != class.Exit || code != class.Exit || !strings.Contains(e.Message+e.Hint, row.names) {
		b.Errorf("%s as JSON: exit code %d, want %d %s and %q: %v: %s", name, code, class.Exit, row.code, row.names, err, errOut)
	}
	if len(e.Hint) < 10 {
		b.Errorf("%s as JSON has no hint: %s", name, errOut)
	}
}

// request sends a row to the service, its path as it stands.
func (b *refuser) request(name string, row *refusal) {
	b.Helper()
	class, ok := poolkeeper.ClassOfCode(row.code)
	if !ok {
		b.Fatalf("%s: no code %s", name, row.code)
	}
	want := class.Status
	if row.state != 0 {
		want = row.state
	}
	status, header, body := b.send(row)
	b.output[name] += body + fmt.Sprint(header)
	var p struct {
		Type, Title, Code, Detail, Hint string
		Status                          int
		Errors                          []struct{ Pointer, Detail string }
	}
	err := json.Unmarshal([]byte(body), &p)
	if err != nil || status != want || p.Status != want || p.Code != row.code || p.Type != "urn:poolkeeper:problem:"+row.code || !strings.HasPrefix(header.Get("Content-Type"), "application/problem+json") {
		b.Errorf("%s: %d, want %d %s: %v: %s", name, status, want, row.code, err, excerpt(body))
	}
	if !strings.Contains(p.Detail+p.Hint, row.names) {
		b.Errorf("%s: %q is not named: %s", name, row.names, body)
	}
}

func (b *refuser) send(row *refusal) (int, http.Header, string) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), row.method, b.service.url+row.path, strings.NewReader(row.body))
	if err != nil {
		b.Fatal(err)
	}
	switch row.key {
	case "":
		req.Header.Set("Authorization", "Bearer "+b.service.key)
	case "none":
	default:
		req.Header.Set("Authorization", row.key)
	}
	for name, value := range row.header {
		if name == "Host" {
			req.Host = value
		} else {
			req.Header.Set(name, value)
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatalf("%s %s: %v", row.method, excerpt(row.path), err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.Fatal(err)
	}
	return res.StatusCode, res.Header, string(body)
}

// taken is an address that somebody listens on.
func (b *refuser) taken() string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ln.Close() })
	return ln.Addr().String()
}
