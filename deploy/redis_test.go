package deploy_test

import (
	"crypto/tls"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

// ofThePlace are the directives that say where things are, which on this
// machine is elsewhere.
var ofThePlace = []string{"aclfile", "bind", "port", "tls-port", "tls-cert-file", "tls-key-file", "tls-ca-cert-file"}

// directives returns a Redis configuration as options of a test server.
func directives(t *testing.T, path string, want ...string) []redistest.Option {
	t.Helper()
	var opts []redistest.Option
	var seen []string
	for _, line := range lines(read(t, path)) {
		name, value, _ := strings.Cut(line, " ")
		seen = append(seen, line)
		if !slices.Contains(ofThePlace, name) {
			opts = append(opts, redistest.WithConfig(name, value))
		}
	}
	for _, line := range want {
		if !slices.Contains(seen, line) {
			t.Errorf("%s lacks %q", path, line)
		}
	}
	return opts
}

// users returns the lines of the ACL file.
func users(t *testing.T) []string { return lines(read(t, "redis/users.acl")) }

// TestACLFile: the file has the line of the documentation, which the suite of
// redisstore runs as, and lets nobody else in.
func TestACLFile(t *testing.T) {
	documented := regexp.MustCompile(`(?m)^ *user poolkeeper .*(\n +[+~&-].*)*$`).FindAllString(read(t, "../docs/formats.md"), -1)
	if len(documented) != 1 {
		t.Fatalf("docs/formats.md has %d ACL lines", len(documented))
	}
	want := []string{"user default off", strings.Join(strings.Fields(documented[0]), " ")}
	if got := users(t); !slices.Equal(got, want) {
		t.Errorf("users.acl is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestRedisFiles starts Redis with the files, over TCP and over TLS, and uses a
// store as the user that they name.
func TestRedisFiles(t *testing.T) {
	conf := directives(t, "redis/redis.conf", "appendonly yes", "maxmemory-policy noeviction", "aclfile /etc/redis/users.acl", "protected-mode yes")
	secure := append(directives(t, "redis/tls.conf", "port 0", "tls-auth-clients no", `tls-protocols "TLSv1.2 TLSv1.3"`), redistest.WithTLS())
	for name, opts := range map[string][]redistest.Option{"plain": conf, "TLS": slices.Concat(conf, secure)} {
		t.Run(name, func(t *testing.T) {
			srv := redistest.Start(t, append(opts, redistest.WithACL(users(t)...))...)
			ctx := t.Context()
			if _, err := redisstore.Open(ctx, srv.URL(), &redisstore.Options{TLS: srv.TLSConfig()}); poolkeeper.ClassOf(err).Code != "forbidden" {
				t.Errorf("without a user: %v", err)
			}
			open := &redisstore.Options{TLS: srv.TLSConfig(), Username: "poolkeeper", Password: "PASSWORD"}
			b, err := redisstore.Open(ctx, srv.URL(), open)
			if err != nil {
				t.Fatal(err)
			}
			st := poolkeeper.New(b, nil)
			defer st.Close()
			if err := st.Restore(ctx, nil); err != nil {
				t.Fatal(err)
			}
			res, err := st.AddProvider(ctx, "t", []byte(`{"usageCount":9007199254740993}`))
			if err != nil {
				t.Fatal(err)
			}
			if res, err = st.Usage(ctx, poolkeeper.Ref{Type: "t", ID: res.ID}, 1); err != nil || res.Count != 9007199254740994 {
				t.Errorf("%d %v", res.Count, err)
			}
			info, err := st.Info(ctx)
			if err != nil || !info.Ready || len(info.Warnings) > 0 {
				t.Errorf("%+v %v", info, err)
			}
			if size := b.Measure(ctx).Size; size == nil || size.Providers != 1 || size.UsedBytes == 0 {
				t.Errorf("as that user the size is %+v", size)
			}
			if v, err := srv.Do("ACL", "LOG"); err != nil || countOf(v, "poolkeeper") != 0 {
				t.Errorf("the user lacks something: %v %v", v, err)
			}
			if name == "TLS" {
				// A private CA, as the documentation has it.
				env := environ("REDIS_URL="+strings.Replace(srv.URL(), "://", "://poolkeeper:PASSWORD@", 1), "POOLKEEPER_STATE_DIR="+t.TempDir(), "REDIS_TLS_CA_FILE="+srv.CAFile())
				if out := run(t, program(t), env, "status"); !strings.Contains(out, "rediss://") {
					t.Errorf("%s", out)
				}
				old := srv.TLSConfig()
				old.MaxVersion, old.MinVersion = tls.VersionTLS11, tls.VersionTLS10
				open.TLS = old
				if b, err := redisstore.Open(ctx, srv.URL(), open); err == nil {
					b.Close()
					t.Error("TLS 1.1 is let in")
				}
			}
		})
	}
}

// countOf counts the entries of ACL LOG that are about a user.
func countOf(log any, user string) (n int) {
	entries, _ := log.([]any)
	for _, e := range entries {
		fields, _ := e.([]any)
		for i := 0; i+1 < len(fields); i += 2 {
			if fields[i] == "username" && fields[i+1] == user {
				n++
			}
		}
	}
	return n
}
