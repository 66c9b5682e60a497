package redistest

import "maps"

// Option changes how a server is started.
type Option func(*config)

// config is what a server is started with; zero values are the defaults.
type config struct {
	role      role
	dir       string // "" means a fresh one, removed at cleanup
	aof       string // appendfsync, "" for no append-only file
	tls       bool
	material  *tlsMaterial // set when several servers share one CA
	password  string
	acl       []string
	ofGroup   []string // users of the sentinels
	replicaOf *Server
	keys      []string // of extra, in order of first use
	extra     map[string]string
	sentinel  []string // raw lines of a Sentinel
}

// role says which kind of process it is.
type role int

const (
	roleServer role = iota
	roleCluster
	roleSentinel
)

func newConfig(opts []Option) *config {
	cfg := &config{extra: map[string]string{}}
	for _, o := range opts {
		o(cfg)
	}
	return cfg
}

// clone returns a copy that can be changed without the original seeing it.
func (c *config) clone() *config {
	d := *c
	d.keys = append([]string(nil), c.keys...)
	d.acl = append([]string(nil), c.acl...)
	d.ofGroup = append([]string(nil), c.ofGroup...)
	d.extra = maps.Clone(c.extra)
	return &d
}

func (c *config) set(key, value string) {
	if _, ok := c.extra[key]; !ok {
		c.keys = append(c.keys, key)
	}
	c.extra[key] = value
}

// WithAOF turns the append-only file on; fsync is always, everysec or no.
// Data then survives [Server.Kill] as far as that policy says.
func WithAOF(fsync string) Option { return func(c *config) { c.aof = fsync } }

// WithTLS makes the port speak TLS only, with a certificate of a private CA
// for 127.0.0.1 and localhost. See [Server.TLSConfig], [Server.CAFile] and
// [Server.CertFiles].
func WithTLS() Option { return func(c *config) { c.tls = true } }

// WithPassword sets the password of the default user (requirepass).
func WithPassword(pw string) Option { return func(c *config) { c.password = pw } }

// WithACL adds users, each line as in redis.conf with or without the leading
// word "user": "alice on >secret ~app:* +@read".
func WithACL(lines ...string) Option {
	return func(c *config) { c.acl = append(c.acl, lines...) }
}

// WithSentinelACL adds users to the sentinels of a group, as [WithACL] does to
// its data servers. It means nothing elsewhere.
func WithSentinelACL(lines ...string) Option {
	return func(c *config) { c.ofGroup = append(c.ofGroup, lines...) }
}

// WithConfig adds a line to redis.conf. The value is written as it is, so
// quoting is the caller's; an empty one is written as "". It wins over the
// defaults of this package.
func WithConfig(key, value string) Option {
	return func(c *config) { c.set(key, value) }
}

// WithReplicaOf makes the server a replica of up, with its TLS material when
// it has some. The start waits until the first synchronisation is done.
func WithReplicaOf(up *Server) Option { return func(c *config) { c.replicaOf = up } }

// WithDir keeps the data files in dir, which must exist and is not removed.
// Two servers must not use one at the same time; a Cluster and a Sentinel
// group make a folder per node in it.
func WithDir(dir string) Option { return func(c *config) { c.dir = dir } }
