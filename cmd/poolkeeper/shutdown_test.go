package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/client"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// TestStopUnderLoad: a service that gets SIGTERM while a hundred callers count
// answers what it has accepted. Each increment that was acknowledged is in Redis,
// each that was refused is not, and no outcome is unknown.
func TestStopUnderLoad(t *testing.T) {
	srv := redistest.Start(t)
	const key = "a-key-for-this-test-0123456789"
	env := map[string]string{"POOLKEEPER_STATE_DIR": t.TempDir(), "REDIS_URL": srv.URL(), "POOLKEEPER_API_KEY": key}
	for _, c := range [][]string{{"init"}, {"provider", "add", "x"}} {
		if code, _, errOut := call(t.Context(), env, `{"uuid":"one"}`, c...); code != 0 {
			t.Fatal(errOut)
		}
	}
	cmd := exec.CommandContext(t.Context(), "poolkeeper", "serve", "--addr", "127.0.0.1:0", "--json")
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said struct{ URL, Socket string }
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&said); err != nil {
		t.Fatal(err)
	}
	const callers, enough = 100, 3000
	var acknowledged, refused, unknown atomic.Int64
	var once sync.Once
	var wg sync.WaitGroup
	for _, url := range []string{said.URL, "unix://" + said.Socket} {
		c, err := client.New(url, key, &client.Options{RetryFor: time.Nanosecond})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for range callers / 2 {
			wg.Go(func() {
				for {
					r := c.Apply(t.Context(), poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey("x"), ID: "one", N: 1, At: time.Now().UnixMilli()})[0]
					switch {
					case r.Err == nil:
						if acknowledged.Add(1) > enough {
							once.Do(func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
						}
						continue
					case errors.Is(r.Err, poolkeeper.ErrUnavailable):
						refused.Add(1)
					default:
						unknown.Add(1)
						t.Errorf("%v", r.Err)
					}
					return
				}
			})
		}
	}
	wg.Wait()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the service ended with %v", err)
	}
	counted := srv.DoString("HGET", "aiclient:state:{aiclient:pools:x}", "one:usageCount")
	t.Logf("%d acknowledged, %d refused, %d unknown, counted %s", acknowledged.Load(), refused.Load(), unknown.Load(), counted)
	if counted != strconv.FormatInt(acknowledged.Load(), 10) {
		t.Errorf("counted %s, and %d were acknowledged", counted, acknowledged.Load())
	}
	if refused.Load() != callers {
		t.Errorf("%d of %d callers were refused in the end", refused.Load(), callers)
	}
	if _, err := os.Lstat(said.Socket); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
}
