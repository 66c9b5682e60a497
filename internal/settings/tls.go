package settings

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"

	"github.com/poolkeeper/poolkeeper"
)

// TLS is what a rediss URL leaves open. The zero TLS verifies the server against
// the roots of the system, and shows no certificate.
type TLS struct {
	// CA has the authorities that alone are trusted.
	CA File
	// Cert and Key are the certificate that the client shows, and its key.
	Cert, Key File
	// ServerName is the name that the server's certificate has to have, where it
	// is not that of the URL.
	ServerName string
}

// A File is a path that a setting names.
type File struct{ Path, Source string }

// maxPEM is the most that a file with certificates may hold.
const maxPEM = 4 << 20

// Config reads the files. It is nil for the zero TLS. Errors are
// [poolkeeper.ErrInvalid] and name the setting, and never what is in a file.
func (t *TLS) Config() (*tls.Config, error) {
	if *t == (TLS{}) {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CA.Path != "" {
		data, err := t.CA.read()
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(data) {
			return nil, t.CA.wrong("must name a file with the certificate of an authority, in PEM; %s has none", t.CA.Path)
		}
	}
	if t.Cert.Path != "" {
		cert, err := t.Cert.read()
		if err != nil {
			return nil, err
		}
		key, err := t.Key.read()
		if err != nil {
			return nil, err
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, t.Cert.wrong("must name a file with a certificate, and %s one with its private key, both in PEM: %v", t.Key.Source, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func (f File) read() ([]byte, error) {
	data, err := readLimited(f.Path, maxPEM)
	if err != nil {
		return nil, f.wrong("the file cannot be read: %v", err)
	}
	return data, nil
}

func (f File) wrong(format string, args ...any) error {
	return poolkeeper.Errorf(poolkeeper.ErrInvalid, "%s: %s", f.Source, fmt.Sprintf(format, args...))
}

// joinExtras settles what completes a URL besides credentials: TLS, and what the
// sentinels ask for. What a lower source says belongs to another server, as
// credentials do. What does not go with the URL is an error.
func (d *draft) joinExtras(said map[string]given) error {
	r, place := &d.Redis, d.place(said)
	url := ""
	if d.urlCounts(said) {
		url = d.redisURL
	}
	counts := func(name string) bool { return said[name].value != "" && said[name].rank >= place }
	refuse := func(name, rule string, args ...any) error {
		if d.Backend != BackendRedis {
			return nil // nothing is connected to
		}
		return File{Source: said[name].source}.wrong(rule, args...)
	}
	for name, to := range map[string]*File{"redis.tlsCaFile": &r.TLS.CA, "redis.tlsCertFile": &r.TLS.Cert, "redis.tlsKeyFile": &r.TLS.Key} {
		if to.Source = said[name].source; !counts(name) {
			*to = File{}
		}
	}
	if !counts("redis.tlsServerName") {
		r.TLS.ServerName = ""
	}
	if !counts("redis.sentinelUsername") {
		r.SentinelUsername = ""
	}
	if !counts("redis.sentinelPassword") {
		r.SentinelPassword = Secret{}
	}
	for i := range table {
		name, err := table[i].name, error(nil)
		switch {
		case !counts(name):
		case strings.HasPrefix(name, "redis.tls") && !strings.HasPrefix(url, "rediss://"):
			err = refuse(name, "it needs a URL that begins with rediss://, which %s is not", d.named(said))
		case strings.HasPrefix(name, "redis.sentinel") && !hasMaster(url):
			err = refuse(name, "it needs a URL that has ?master=NAME, which %s has not", d.named(said))
		}
		if err != nil {
			return err
		}
	}
	if r.TLS.Cert.Path != "" && r.TLS.Key.Path == "" {
		return refuse("redis.tlsCertFile", "it needs its private key too: REDIS_TLS_KEY_FILE")
	}
	if r.TLS.Key.Path != "" && r.TLS.Cert.Path == "" {
		return refuse("redis.tlsKeyFile", "it needs its certificate too: REDIS_TLS_CERT_FILE")
	}
	return nil
}

// named is what says where Redis is, for people.
func (d *draft) named(said map[string]given) string {
	if d.urlCounts(said) {
		return "that of " + said["redis.url"].source
	}
	return "the host (" + said["redis.host"].source + ")"
}

// hasMaster reports whether a URL leads through Sentinel.
func hasMaster(url string) bool {
	_, query, _ := strings.Cut(url, "?")
	for p := range strings.SplitSeq(query, "&") {
		if name, value, _ := strings.Cut(p, "="); (name == "master" || name == "master_set") && value != "" {
			return true
		}
	}
	return false
}
