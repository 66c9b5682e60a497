package settings

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// certificate writes a certificate and its key, and returns their paths.
func certificate(t *testing.T, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	file := func(suffix, kind string, data []byte) string {
		path := filepath.Join(t.TempDir(), name+suffix)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return file(".crt", "CERTIFICATE", der), file(".key", "PRIVATE KEY", keyDER)
}

// TestExtrasFromEachSource: what completes a URL is used from the source of the
// URL and from higher ones; that of a lower one belongs to another server, and
// status says that it is not used.
func TestExtrasFromEachSource(t *testing.T) {
	type m = map[string]string
	const url = "rediss://s:1?master=m"
	env := m{"REDIS_TLS_CA_FILE": "/ca1", "REDIS_TLS_CERT_FILE": "/c1", "REDIS_TLS_KEY_FILE": "/k1", "REDIS_TLS_SERVER_NAME": "n1",
		"REDIS_SENTINEL_USERNAME": "u1", "REDIS_SENTINEL_PASSWORD": "p1"}
	with := func(more m) m {
		all := m{}
		for _, from := range []m{env, more} {
			for k, v := range from {
				all[k] = v
			}
		}
		return all
	}
	const section = `"tlsCaFile":"/ca2","tlsCertFile":"/c2","tlsKeyFile":"/k2","tlsServerName":"n2","sentinelUsername":"u2","sentinelPassword":"p2"`
	own := `{"redis":{"url":"` + url + `",` + section + `}}`
	other := `{"redis":{` + section + `}}`
	for name, c := range map[string]struct {
		sources
		want string
	}{
		"environment":             {sources{env: with(m{"REDIS_URL": url}), config: other}, "/ca1 /c1 /k1 n1 u1 p1"},
		"config.json":             {sources{config: own}, "/ca2 /c2 /k2 n2 u2 p2"},
		"environment over config": {sources{env: env, config: own}, "/ca1 /c1 /k1 n1 u1 p1"},
		"config, URL above it":    {sources{env: m{"REDIS_URL": url}, config: own}, "     "},
		"environment, URL above":  {sources{flags: m{"redis-url": url}, env: env, config: own}, "     "},
		"flag":                    {sources{flags: m{"redis-url": url, "redis-tls-ca-file": "/ca0"}, env: env}, "/ca0     "},
		"config, host above it":   {sources{env: m{"REDIS_HOST": "h"}, config: own}, "     "},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.must(t)
			r := s.Redis
			if got := fmt.Sprintf("%s %s %s %s %s %s", r.TLS.CA.Path, r.TLS.Cert.Path, r.TLS.Key.Path, r.TLS.ServerName, r.SentinelUsername, r.SentinelPassword.Reveal()); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			for _, name := range []string{"redis.tlsKeyFile", "redis.tlsServerName", "redis.sentinelPassword"} {
				if e := s.entry(name); e.Value != "" && strings.Contains(e.Source, "not used") != strings.HasSuffix(c.want, " ") {
					t.Errorf("%s is shown as from %s", name, e.Source)
				}
			}
			if out := fmt.Sprint(s.Entries()); strings.Contains(out, "p1") || strings.Contains(out, "p2") {
				t.Error("status would show a password")
			}
		})
	}
}

// TestConflicts: settings that do not go together are an error that names the
// one that is too many and its source; where one simply counts, status says which.
func TestConflicts(t *testing.T) {
	type m = map[string]string
	for name, c := range map[string]struct {
		sources
		want string
	}{
		"CA file, plain URL":        {sources{env: m{"REDIS_URL": "redis://h", "REDIS_TLS_CA_FILE": "/ca"}}, "environment REDIS_TLS_CA_FILE: it needs a URL that begins with rediss://, which that of environment REDIS_URL is not"},
		"CA file, socket":           {sources{env: m{"REDIS_URL": "unix:///s", "REDIS_TLS_CA_FILE": "/ca"}}, "environment REDIS_TLS_CA_FILE: it needs a URL"},
		"CA file, host":             {sources{env: m{"REDIS_HOST": "h", "REDIS_TLS_CA_FILE": "/ca"}}, "environment REDIS_TLS_CA_FILE: it needs a URL that begins with rediss://, which the host (environment REDIS_HOST) is not"},
		"CA file as flag":           {sources{env: m{"REDIS_URL": "redis://h"}, flags: m{"redis-tls-ca-file": "/ca"}}, "flag --redis-tls-ca-file: it needs"},
		"CA file in config.json":    {sources{config: `{"redis":{"host":"h","tlsCaFile":"/ca"}}`}, "config.json redis.tlsCaFile: it needs"},
		"server name, plain URL":    {sources{env: m{"REDIS_URL": "redis://h", "REDIS_TLS_SERVER_NAME": "n"}}, "environment REDIS_TLS_SERVER_NAME: it needs"},
		"certificate, plain URL":    {sources{env: m{"REDIS_URL": "redis://h", "REDIS_TLS_CERT_FILE": "/c", "REDIS_TLS_KEY_FILE": "/k"}}, "environment REDIS_TLS_CERT_FILE: it needs a URL"},
		"certificate without key":   {sources{env: m{"REDIS_URL": "rediss://h", "REDIS_TLS_CERT_FILE": "/c"}}, "environment REDIS_TLS_CERT_FILE: it needs its private key too: REDIS_TLS_KEY_FILE"},
		"key without certificate":   {sources{config: `{"redis":{"url":"rediss://h","tlsKeyFile":"/k"}}`}, "config.json redis.tlsKeyFile: it needs its certificate too"},
		"key of a lower source":     {sources{env: m{"REDIS_URL": "rediss://h", "REDIS_TLS_CERT_FILE": "/c"}, config: `{"redis":{"tlsKeyFile":"/k"}}`}, "needs its private key too"},
		"Sentinel's user, no group": {sources{env: m{"REDIS_URL": "redis://h", "REDIS_SENTINEL_USERNAME": "u"}}, "environment REDIS_SENTINEL_USERNAME: it needs a URL that has ?master=NAME, which that of environment REDIS_URL has not"},
		"Sentinel's password, host": {sources{env: m{"REDIS_HOST": "h", "REDIS_SENTINEL_PASSWORD": "s3cr3t"}}, "environment REDIS_SENTINEL_PASSWORD: it needs"},
		"Sentinel's, a Cluster":     {sources{env: m{"REDIS_URL": "redis://h?cluster=true", "REDIS_SENTINEL_PASSWORD": "s3cr3t"}}, "environment REDIS_SENTINEL_PASSWORD: it needs"},
		"Redis is off":              {sources{env: m{"REDIS_URL": "redis://h", "REDIS_TLS_CA_FILE": "/ca", "REDIS_ENABLED": "false"}}, ""},
		"another backend":           {sources{flags: m{"backend": "file"}, env: m{"REDIS_URL": "redis://h", "REDIS_TLS_CERT_FILE": "/c"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.resolve(t)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, poolkeeper.ErrInvalid) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	for name, c := range map[string]struct {
		sources
		setting, want string
	}{
		"URL and host":             {sources{env: m{"REDIS_URL": "redis://a", "REDIS_HOST": "h"}}, "redis.host", "environment REDIS_HOST, not used: the URL counts"},
		"URL and port":             {sources{env: m{"REDIS_URL": "redis://a", "REDIS_PORT": "7"}}, "redis.port", "environment REDIS_PORT, not used: the URL counts"},
		"URL and database":         {sources{flags: m{"redis-url": "redis://a"}, config: `{"redis":{"db":2}}`}, "redis.db", "config.json redis.db, not used: the URL counts"},
		"host above a password":    {sources{env: m{"REDIS_HOST": "h"}, config: `{"redis":{"url":"rediss://a","password":"p"}}`}, "redis.password", "config.json redis.password, not used: the host is of a higher source"},
		"host above the URL":       {sources{env: m{"REDIS_HOST": "h"}, config: `{"redis":{"url":"redis://a"}}`}, "redis.url", "config.json redis.url, not used: environment REDIS_HOST counts"},
		"user beside its own":      {sources{env: m{"REDIS_URL": "redis://u:s3cr3t@a", "REDIS_USERNAME": "v"}}, "redis.username", "environment REDIS_USERNAME, not used: the URL has its own, or is of a higher source"},
		"password of a lower one":  {sources{env: m{"REDIS_URL": "redis://a"}, config: `{"redis":{"password":"s3cr3t"}}`}, "redis.password", "config.json redis.password, not used: the URL has its own, or is of a higher source"},
		"password that is used":    {sources{env: m{"REDIS_URL": "redis://a", "REDIS_PASSWORD": "s3cr3t"}}, "redis.password", "environment REDIS_PASSWORD"},
		"port beside no URL":       {sources{env: m{"REDIS_HOST": "h", "REDIS_PORT": "7"}}, "redis.port", "environment REDIS_PORT"},
		"enabled, undone by a URL": {sources{env: m{"REDIS_URL": "redis://a"}, config: `{"redis":{"enabled":false}}`}, "redis.enabled", "a URL or host is set"},
	} {
		t.Run(name, func(t *testing.T) {
			set := c.must(t)
			if c.setting == "redis.password" && strings.Contains(c.want, "not used") && set.Redis.Password.Reveal() != "" {
				t.Error("it is used all the same")
			}
			if e := set.entry(c.setting); e.Source != c.want || strings.Contains(e.Value, "s3cr3t") {
				t.Errorf("shown as %+v, want %q", e, c.want)
			}
		})
	}
}

// TestTLSFiles reads the files that settings name.
func TestTLSFiles(t *testing.T) {
	ca, caKey := certificate(t, "ca")
	cert, key := certificate(t, "client")
	of := func(path, source string) File { return File{path, source} }
	good := TLS{CA: of(ca, "a"), Cert: of(cert, "b"), Key: of(key, "c"), ServerName: "n"}
	c, err := good.Config()
	if err != nil || c.ServerName != "n" || len(c.Certificates) != 1 || c.RootCAs == nil || c.InsecureSkipVerify {
		t.Fatalf("%+v %v", c, err)
	}
	if c, err := (&TLS{}).Config(); c != nil || err != nil {
		t.Errorf("the zero TLS: %v %v", c, err)
	}
	if c, err := (&TLS{ServerName: "n"}).Config(); err != nil || c.RootCAs != nil {
		t.Errorf("without a CA the roots are not those of the system: %v %v", c, err)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("s3cr3t"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		tls  TLS
		want string
	}{
		"no CA file":        {TLS{CA: of("/nowhere/ca", "environment A")}, "environment A: the file cannot be read: open /nowhere/ca"},
		"a directory":       {TLS{CA: of(t.TempDir(), "environment A")}, "environment A: the file cannot be read"},
		"no PEM":            {TLS{CA: of(text, "environment A")}, "environment A: must name a file with the certificate of an authority, in PEM; " + text + " has none"},
		"a key for a CA":    {TLS{CA: of(caKey, "environment A")}, "environment A: must name a file with the certificate"},
		"no certificate":    {TLS{Cert: of("/nowhere/c", "environment B"), Key: of(key, "environment C")}, "environment B: the file cannot be read"},
		"no key":            {TLS{Cert: of(cert, "environment B"), Key: of("/nowhere/k", "environment C")}, "environment C: the file cannot be read"},
		"key of another":    {TLS{Cert: of(cert, "environment B"), Key: of(caKey, "environment C")}, "environment B: must name a file with a certificate, and environment C one with its private key"},
		"key that is none":  {TLS{Cert: of(cert, "environment B"), Key: of(text, "environment C")}, "environment B: must name"},
		"cert that is none": {TLS{Cert: of(text, "environment B"), Key: of(key, "environment C")}, "environment B: must name"},
	} {
		if _, err := c.tls.Config(); !errors.Is(err, poolkeeper.ErrInvalid) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
