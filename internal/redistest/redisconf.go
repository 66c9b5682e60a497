package redistest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// adminUser is the user of the helpers, of replication and of Sentinel.
const adminUser = "redistest-admin"

// writeConf writes the configuration file of s. Redis and Sentinel may rewrite
// it later; a restart uses it as they left it.
func (s *Server) writeConf(cfg *config) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }

	line("bind 127.0.0.1")
	if s.tls != nil {
		line("port 0")
		line("tls-port %d", s.port)
		line("tls-cert-file %s", quote(s.tls.certFile))
		line("tls-key-file %s", quote(s.tls.keyFile))
		line("tls-ca-cert-file %s", quote(s.tls.caFile))
		line("tls-auth-clients no")
		line("tls-replication yes")
	} else {
		line("port %d", s.port)
	}
	line("unixsocket %s", quote(s.socket))
	line("unixsocketperm 700")
	line("dir %s", quote(s.dir))
	line("daemonize no")
	line(`logfile ""`)

	for _, u := range cfg.acl {
		line("user %s", strings.TrimPrefix(strings.TrimSpace(u), "user "))
	}
	line("user %s on >%s ~* &* +@all", adminUser, adminPassword())

	if cfg.role == roleSentinel {
		for _, l := range cfg.sentinel {
			line("%s", l)
		}
	} else {
		s.writeServerConf(cfg, line)
	}
	if cfg.password != "" {
		line("requirepass %s", quote(cfg.password))
	}
	for _, k := range cfg.keys {
		v := cfg.extra[k]
		if v == "" {
			v = `""`
		}
		line("%s %s", k, v)
	}
	return os.WriteFile(s.confFile(), []byte(b.String()), 0o600)
}

// writeServerConf writes what only a data server has.
func (s *Server) writeServerConf(cfg *config, line func(string, ...any)) {
	line("databases 16")
	line("masteruser %s", adminUser)
	line("masterauth %s", adminPassword())
	// After a synchronisation without disk the master streams only once the
	// replica has acknowledged, up to a second later.
	line("repl-diskless-sync no")
	// Lines of "save" may add up, so the default is only written when there is
	// none of the caller's.
	if _, ok := cfg.extra["save"]; !ok {
		line(`save ""`)
	}
	if cfg.aof != "" {
		line("appendonly yes")
		line("appendfsync %s", cfg.aof)
	} else {
		line("appendonly no")
	}
	if up := cfg.replicaOf; up != nil {
		line("replicaof 127.0.0.1 %d", up.port)
	}
	if cfg.role == roleCluster {
		line("cluster-enabled yes")
		line("cluster-config-file nodes.conf")
		line("cluster-node-timeout 2000")
		line("cluster-port %d", s.busPort)
		if s.tls != nil {
			line("tls-cluster yes")
		}
	}
}

// quote writes s as one argument of redis.conf.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			b.WriteString(`\x`)
			b.WriteString(strconv.FormatUint(uint64(c)|0x100, 16)[1:])
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
