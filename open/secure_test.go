package open_test

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/open"
	"github.com/poolkeeper/poolkeeper/storetest"
)

// The password in the files of deploy/redis, and what the sentinels get for it.
const (
	password         = "PASSWORD"
	sentinelPassword = "ANOTHER"
)

// users returns the users of a file of deploy/redis.
func users(t *testing.T, name string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../deploy/redis", name))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if len(lines) != 2 || lines[0] != "user default off" || !strings.HasPrefix(lines[1], "user poolkeeper on >"+password+" ") {
		t.Fatalf("%s does not let in one user alone: %q", name, lines)
	}
	return lines
}

// secured are the options of servers that let in the user of deploy/redis alone,
// over TLS alone, with a certificate of the same private authority.
func secured(t *testing.T) []redistest.Option {
	return []redistest.Option{redistest.WithACL(users(t, "users.acl")...), redistest.WithTLS(), redistest.WithConfig("tls-auth-clients", "yes")}
}

// environment is what an operator sets for servers that are secured.
func environment(t *testing.T, at string, srv *redistest.Server) map[string]string {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	if u.Scheme != "rediss" || u.User != nil {
		t.Fatalf("%s is not over TLS, or has credentials", at)
	}
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cert, key := srv.CertFiles()
	return map[string]string{
		"REDIS_URL": at, "REDIS_USERNAME": "poolkeeper", "REDIS_PASSWORD_FILE": secret,
		"REDIS_TLS_CA_FILE": srv.CAFile(), "REDIS_TLS_CERT_FILE": cert, "REDIS_TLS_KEY_FILE": key,
	}
}

// suite runs the conformance suite on stores that are opened by settings alone.
func suite(t *testing.T, env map[string]string) {
	t.Helper()
	var n atomic.Int64
	var prefixes sync.Map
	under := func(t testing.TB, prefix string) poolkeeper.Backend {
		t.Helper()
		own := maps.Clone(env)
		own["REDIS_KEY_PREFIX"] = prefix
		st, err := open.Store(t.Context(), resolve(t, own), nil)
		if err != nil {
			t.Fatal(err)
		}
		prefixes.Store(st.Backend(), prefix)
		return st.Backend()
	}
	storetest.Run(t, storetest.Harness{
		Open: func(t testing.TB, _ func() time.Time) poolkeeper.Backend {
			return under(t, fmt.Sprintf("aiclient:t%d:", n.Add(1)))
		},
		Reopen: func(t testing.TB, b poolkeeper.Backend) poolkeeper.Backend {
			prefix, _ := prefixes.Load(b)
			return under(t, prefix.(string))
		},
		Shared: true,
	})
}

// deniedNothing fails where a server refused the user something.
func deniedNothing(t *testing.T, servers ...*redistest.Server) {
	t.Helper()
	for _, s := range servers {
		if v, err := s.Do("ACL", "LOG"); err != nil || len(v.([]any)) != 0 {
			t.Errorf("%s denied something: %v, %v", s.Addr(), v, err)
		}
	}
}

// TestConformanceSecured: the whole suite as the restricted user of deploy/redis,
// over TLS with a private authority and a client certificate, by settings alone.
func TestConformanceSecured(t *testing.T) {
	t.Run("standalone", func(t *testing.T) {
		srv := redistest.Start(t, secured(t)...)
		suite(t, environment(t, srv.URL(), srv))
		deniedNothing(t, srv)
	})
	t.Run("Sentinel", func(t *testing.T) {
		others := users(t, "sentinel-users.acl")
		others[1] = strings.Replace(others[1], ">"+password, ">"+sentinelPassword, 1)
		g := redistest.StartSentinel(t, append(secured(t), redistest.WithSentinelACL(others...))...)
		env := environment(t, g.URL(), g.Sentinels[0])
		env["REDIS_SENTINEL_USERNAME"], env["REDIS_SENTINEL_PASSWORD"] = "poolkeeper", sentinelPassword
		suite(t, env)
		deniedNothing(t, append(g.Sentinels, g.Nodes...)...)
	})
	t.Run("Cluster", func(t *testing.T) {
		c := redistest.StartCluster(t, 3, secured(t)...)
		suite(t, environment(t, c.URL(), c.Nodes[0]))
		deniedNothing(t, c.Nodes...)
	})
}

// TestSecuredRefuses: each of the things that let somebody in is needed.
func TestSecuredRefuses(t *testing.T) {
	srv := redistest.Start(t, secured(t)...)
	other := redistest.Start(t, redistest.WithTLS())
	for name, c := range map[string]struct {
		change map[string]string // "" takes it away
		want   error
		says   string
	}{
		"nothing":                  {nil, nil, ""},
		"no authority":             {map[string]string{"REDIS_TLS_CA_FILE": ""}, poolkeeper.ErrUnavailable, "unknown authority"},
		"another authority":        {map[string]string{"REDIS_TLS_CA_FILE": other.CAFile()}, poolkeeper.ErrUnavailable, "certificate"},
		"no certificate":           {map[string]string{"REDIS_TLS_CERT_FILE": "", "REDIS_TLS_KEY_FILE": ""}, poolkeeper.ErrUnavailable, ""}, // the server may close before it has said why
		"another name":             {map[string]string{"REDIS_TLS_SERVER_NAME": "redis.example"}, poolkeeper.ErrUnavailable, "redis.example"},
		"the name that it has":     {map[string]string{"REDIS_TLS_SERVER_NAME": "localhost"}, nil, ""},
		"no user":                  {map[string]string{"REDIS_USERNAME": "", "REDIS_PASSWORD_FILE": ""}, poolkeeper.ErrForbidden, ""},
		"another password":         {map[string]string{"REDIS_PASSWORD_FILE": "", "REDIS_PASSWORD": "wr0ng"}, poolkeeper.ErrForbidden, ""},
		"another prefix":           {map[string]string{"REDIS_KEY_PREFIX": "other:"}, poolkeeper.ErrForbidden, "NOPERM"},
		"an authority that is not": {map[string]string{"REDIS_TLS_CA_FILE": "/nowhere/ca.pem"}, poolkeeper.ErrInvalid, "environment REDIS_TLS_CA_FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			env := environment(t, srv.URL(), srv)
			maps.Copy(env, c.change)
			st, err := open.Store(t.Context(), resolve(t, env), nil)
			if err == nil {
				st.Close()
			}
			if !errors.Is(err, c.want) || err != nil && (!strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "wr0ng")) {
				t.Errorf("got %v, want %v with %q", err, c.want, c.says)
			}
		})
	}
}
