package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
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

// A post is a caller of the REST API with a connection of its own, which it keeps.
type post struct {
	http   http.Client
	url    string
	key    string
	reused int // how often the connection was there already
}

// usage counts one use. What the service never got is [poolkeeper.ErrUnavailable].
func (p *post) usage(ctx context.Context, id string) error {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if info.Reused {
			p.reused++
		}
	}})
	req, err := http.NewRequestWithContext(ctx, "POST", p.url+"/api/v1/pools/x/"+id+"/usage", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.key)
	res, err := p.http.Do(req)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return poolkeeper.ErrUnavailable
	}
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return err
	case res.StatusCode == http.StatusServiceUnavailable:
		return poolkeeper.ErrUnavailable
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("%d %s", res.StatusCode, body)
	}
	return nil
}

// TestStopUnderLoad: a service that gets SIGTERM while a hundred callers count, on
// connections that they keep, answers what it has accepted. Each has a provider of
// its own, so that it shows for every one: each increment that was acknowledged is
// in Redis, each that was refused is not, and no outcome is unknown.
func TestStopUnderLoad(t *testing.T) {
	srv := redistest.Start(t)
	const key = "a-key-for-this-test-0123456789"
	env := map[string]string{"POOLKEEPER_STATE_DIR": t.TempDir(), "REDIS_URL": srv.URL(), "POOLKEEPER_API_KEY": key}
	const callers, enough = 100, 3000
	if code, _, errOut := call(t.Context(), env, "", "init"); code != 0 {
		t.Fatal(errOut)
	}
	id := func(caller int) string { return fmt.Sprintf("caller-%d", caller) }
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
	var usages []func(context.Context, string) error
	var posts []*post
	for _, url := range []string{said.URL, "unix://" + said.Socket} {
		c, err := client.New(url, key, &client.Options{RetryFor: time.Nanosecond})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for range callers / 4 {
			usages = append(usages, func(ctx context.Context, id string) error {
				return c.Apply(ctx, poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey("x"), ID: id, N: 1, At: time.Now().UnixMilli()})[0].Err
			})
		}
		if url == said.URL {
			ops := make([]poolkeeper.Op, callers)
			for i := range ops {
				ops[i] = poolkeeper.Op{Kind: poolkeeper.OpAddProvider, Key: poolkeeper.PoolKey("x"), ID: id(i), Data: []byte(`{"uuid":"` + id(i) + `"}`)}
			}
			for _, r := range c.Apply(t.Context(), ops...) {
				if r.Err != nil {
					t.Fatal(r.Err)
				}
			}
		}
	}
	for len(usages) < callers {
		p := &post{url: said.URL, key: key}
		p.http.Transport = &http.Transport{MaxConnsPerHost: 1}
		posts, usages = append(posts, p), append(usages, p.usage)
	}
	var total, refused atomic.Int64
	acknowledged := make([]int, callers)
	var once sync.Once
	var wg sync.WaitGroup
	for i, usage := range usages {
		wg.Go(func() {
			for {
				err := usage(t.Context(), id(i))
				if err == nil {
					acknowledged[i]++
					if total.Add(1) > enough {
						once.Do(func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
					}
					continue
				}
				if errors.Is(err, poolkeeper.ErrUnavailable) {
					refused.Add(1)
				} else {
					t.Errorf("caller %d does not know: %v", i, err)
				}
				return
			}
		})
	}
	wg.Wait()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the service ended with %v", err)
	}
	reused := 0
	for _, p := range posts {
		reused += p.reused
	}
	t.Logf("%d acknowledged, %d refused, %d on a connection that was kept", total.Load(), refused.Load(), reused)
	for i, n := range acknowledged {
		counted := srv.DoString("HGET", "aiclient:state:{aiclient:pools:x}", id(i)+":usageCount")
		if counted != strconv.Itoa(n) && !(n == 0 && counted == "") {
			t.Errorf("caller %d: counted %q, and %d were acknowledged", i, counted, n)
		}
	}
	if reused < enough/20 {
		t.Errorf("only %d requests came on a connection that was kept", reused)
	}
	if refused.Load() != callers {
		t.Errorf("%d of %d callers were refused in the end", refused.Load(), callers)
	}
	if _, err := os.Lstat(said.Socket); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
}
