package settings

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A row is one setting: what it is called in each source, and its rule.
type row struct {
	name string
	flag string // empty: there is no flag
	env  string // empty: there is no variable
	// file says that env with _FILE behind it names a file with the value.
	file bool
	// section and key are its place in config.json; empty: it has none.
	section, key string
	// list says that it may be an array there; elsewhere commas separate.
	list bool
	def  string
	// show prints a value that is a secret, or holds one.
	show func(string) string
	// set parses the value. Its error is the rule, without the value.
	set func(d *draft, value string) error
}

// A draft is what the rows fill in before the parts are put together.
type draft struct {
	Settings
	backend, host, redisURL string
	port, db                int
}

func hidden(string) string { return Redacted }

var (
	errHosts   = errors.New("must be host names or IP addresses without a port, separated by commas")
	errHost    = errors.New("must be a host name or an IP address without a port")
	errPrefix  = errors.New("must be 1 to 64 characters of A-Z a-z 0-9 _ . : -")
	errBackend = errors.New("must be auto, redis, file or memory")
	errBool    = errors.New("must be true or false")
	errAddr    = errors.New("must be host:port, as in 127.0.0.1:8787")
	errURL     = errors.New("must be a URL that begins with redis://, rediss:// or unix://; special characters in its password are percent-encoded")
	errLevel   = errors.New("must be debug, info, warn or error")
	errFormat  = errors.New("must be text or json")
	errMillis  = errors.New("must be a whole number of milliseconds, 1 to 3600000")
	errName    = errors.New("must be a host name or an IP address, as the certificate has it")
	errKey     = errors.New("must be at least 16 characters without white space")

	errJournal    = errors.New("must be disk or memory")
	errOverflow   = errors.New("must be reject or drop-oldest")
	errDurability = errors.New("must be primary or replicated")
	errDuration   = errors.New("must be a duration with its unit, 1s to 24h, as in 60s")
	errSize       = errors.New("must be a whole number of bytes, KiB, MiB or GiB, 1MiB to 1024GiB, as in 512MiB")

	hostForm   = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?$`)
	prefixForm = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,64}$`)
)

// table has every setting, in the order in which status shows them.
var table = []row{
	{name: "backend", flag: "backend", def: BackendAuto, set: func(d *draft, v string) error {
		d.backend = v
		if !slices.Contains([]string{BackendAuto, BackendRedis, BackendFile, BackendMemory}, v) {
			return errBackend
		}
		return nil
	}},
	{name: "configDir", flag: "config-dir", env: "POOLKEEPER_CONFIG_DIR", def: "./configs", set: func(d *draft, v string) error {
		d.ConfigDir = v
		return nil
	}},
	{name: "stateDir", flag: "state-dir", env: "POOLKEEPER_STATE_DIR", section: "poolkeeper", key: "stateDir", set: func(d *draft, v string) error {
		d.StateDir = v
		return nil
	}},
	{name: "addr", flag: "addr", env: "POOLKEEPER_ADDR", section: "poolkeeper", key: "addr", def: "127.0.0.1:8787", set: func(d *draft, v string) error {
		d.Addr = v
		_, port, err := net.SplitHostPort(v)
		if err != nil {
			return errAddr
		}
		if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
			return errAddr
		}
		return nil
	}},
	{name: "allowedHosts", flag: "allowed-host", env: "POOLKEEPER_ALLOWED_HOSTS", section: "poolkeeper", key: "allowedHosts", list: true, set: func(d *draft, v string) error {
		for host := range strings.SplitSeq(v, ",") {
			host = strings.TrimSpace(host)
			if addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")); err == nil {
				if addr.IsUnspecified() { // nobody calls it
					return errHosts
				}
			} else if !hostForm.MatchString(host) {
				return errHosts
			}
			d.AllowedHosts = append(d.AllowedHosts, host)
		}
		return nil
	}},
	{name: "apiKey", env: "POOLKEEPER_API_KEY", file: true, section: "poolkeeper", key: "apiKey", show: hidden, set: func(d *draft, v string) error {
		d.APIKey = NewSecret(v)
		if len(v) < 16 || strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			return errKey
		}
		return nil
	}},
	{name: "logLevel", flag: "log-level", env: "POOLKEEPER_LOG_LEVEL", section: "poolkeeper", key: "logLevel", def: "info", set: func(d *draft, v string) error {
		levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
		level, ok := levels[strings.ToLower(v)]
		d.LogLevel = level
		if !ok {
			return errLevel
		}
		return nil
	}},
	{name: "logFormat", env: "POOLKEEPER_LOG_FORMAT", section: "poolkeeper", key: "logFormat", set: func(d *draft, v string) error {
		d.LogFormat = v
		if v != "text" && v != "json" {
			return errFormat
		}
		return nil
	}},
	{name: "journal", env: "POOLKEEPER_JOURNAL", section: "poolkeeper", key: "journal", def: JournalDisk, set: func(d *draft, v string) error {
		d.Journal.Kind = v
		if v != JournalDisk && v != JournalMemory {
			return errJournal
		}
		return nil
	}},
	{name: "journalMaxBytes", env: "POOLKEEPER_JOURNAL_MAX_BYTES", section: "poolkeeper", key: "journalMaxBytes", def: "1GiB", set: func(d *draft, v string) error {
		return size(&d.Journal.MaxBytes, v)
	}},
	{name: "journalOverflow", env: "POOLKEEPER_JOURNAL_OVERFLOW", section: "poolkeeper", key: "journalOverflow", def: "reject", set: func(d *draft, v string) error {
		d.Journal.DropOldest = v == "drop-oldest"
		if v != "reject" && v != "drop-oldest" {
			return errOverflow
		}
		return nil
	}},
	{name: "fallbackAfter", env: "POOLKEEPER_FALLBACK_AFTER", section: "poolkeeper", key: "fallbackAfter", def: "60s", set: func(d *draft, v string) error {
		t, err := time.ParseDuration(v)
		d.FallbackAfter = t
		if err != nil || t < time.Second || t > 24*time.Hour {
			return errDuration
		}
		return nil
	}},
	{name: "durability", env: "POOLKEEPER_DURABILITY", section: "poolkeeper", key: "durability", def: "primary", set: func(d *draft, v string) error {
		d.Durability = v
		if v != "primary" && v != "replicated" {
			return errDurability
		}
		return nil
	}},
	{name: "redis.enabled", env: "REDIS_ENABLED", section: "redis", key: "enabled", def: "false", set: func(d *draft, v string) error {
		switch strings.ToLower(v) {
		case "true", "1", "yes", "on":
			d.Redis.Enabled = true
		case "false", "0", "no", "off":
			d.Redis.Enabled = false
		default:
			return errBool
		}
		return nil
	}},
	{name: "redis.url", flag: "redis-url", env: "REDIS_URL", file: true, section: "redis", key: "url", show: RedactURL, set: func(d *draft, v string) error {
		d.redisURL = v
		// Several hosts may stand in it, so it is redisstore that parses it.
		scheme, rest, _ := strings.Cut(v, "://")
		if rest == "" || !slices.Contains([]string{"redis", "rediss", "unix"}, scheme) || strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			return errURL
		}
		return nil
	}},
	{name: "redis.host", env: "REDIS_HOST", section: "redis", key: "host", def: "localhost", set: func(d *draft, v string) error {
		d.host = strings.TrimSuffix(strings.TrimPrefix(v, "["), "]")
		if strings.ContainsAny(d.host, "/@?# ") || strings.Contains(d.host, ":") && net.ParseIP(d.host) == nil {
			return errHost
		}
		return nil
	}},
	{name: "redis.port", env: "REDIS_PORT", section: "redis", key: "port", def: "6379", set: func(d *draft, v string) error {
		return number(&d.port, v, 1, 65535)
	}},
	{name: "redis.username", env: "REDIS_USERNAME", section: "redis", key: "username", set: func(d *draft, v string) error {
		d.Redis.Username = v
		return nil
	}},
	{name: "redis.password", env: "REDIS_PASSWORD", file: true, section: "redis", key: "password", show: hidden, set: func(d *draft, v string) error {
		d.Redis.Password = NewSecret(v)
		return nil
	}},
	{name: "redis.sentinelUsername", env: "REDIS_SENTINEL_USERNAME", section: "redis", key: "sentinelUsername", set: func(d *draft, v string) error {
		d.Redis.SentinelUsername = v
		return nil
	}},
	{name: "redis.sentinelPassword", env: "REDIS_SENTINEL_PASSWORD", file: true, section: "redis", key: "sentinelPassword", show: hidden, set: func(d *draft, v string) error {
		d.Redis.SentinelPassword = NewSecret(v)
		return nil
	}},
	{name: "redis.tlsCaFile", flag: "redis-tls-ca-file", env: "REDIS_TLS_CA_FILE", section: "redis", key: "tlsCaFile", set: func(d *draft, v string) error {
		d.Redis.TLS.CA.Path = v
		return nil
	}},
	{name: "redis.tlsCertFile", env: "REDIS_TLS_CERT_FILE", section: "redis", key: "tlsCertFile", set: func(d *draft, v string) error {
		d.Redis.TLS.Cert.Path = v
		return nil
	}},
	{name: "redis.tlsKeyFile", env: "REDIS_TLS_KEY_FILE", section: "redis", key: "tlsKeyFile", set: func(d *draft, v string) error {
		d.Redis.TLS.Key.Path = v
		return nil
	}},
	{name: "redis.tlsServerName", env: "REDIS_TLS_SERVER_NAME", section: "redis", key: "tlsServerName", set: func(d *draft, v string) error {
		d.Redis.TLS.ServerName = v
		if strings.ContainsAny(v, "/@?#* ") || strings.Contains(v, ":") && net.ParseIP(v) == nil {
			return errName
		}
		return nil
	}},
	{name: "redis.db", env: "REDIS_DB", section: "redis", key: "db", def: "0", set: func(d *draft, v string) error {
		return number(&d.db, v, 0, 1<<20)
	}},
	{name: "redis.keyPrefix", flag: "key-prefix", env: "REDIS_KEY_PREFIX", section: "redis", key: "keyPrefix", def: "aiclient:", set: func(d *draft, v string) error {
		d.Redis.KeyPrefix = v
		if !prefixForm.MatchString(v) {
			return errPrefix
		}
		return nil
	}},
	{name: "redis.connectTimeout", env: "REDIS_CONNECT_TIMEOUT", section: "redis", key: "connectTimeout", def: "5000", set: func(d *draft, v string) error {
		return millis(&d.Redis.ConnectTimeout, v)
	}},
	{name: "redis.commandTimeout", env: "REDIS_COMMAND_TIMEOUT", section: "redis", key: "commandTimeout", def: "1000", set: func(d *draft, v string) error {
		return millis(&d.Redis.CommandTimeout, v)
	}},
}

func number(to *int, v string, from, until int) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < from || n > until {
		return errors.New("must be a whole number, " + strconv.Itoa(from) + " to " + strconv.Itoa(until))
	}
	*to = n
	return nil
}

// size reads a number of bytes with a unit.
func size(to *int64, v string) error {
	unit := int64(1)
	for name, n := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if rest, ok := strings.CutSuffix(v, name); ok {
			v, unit = strings.TrimSpace(rest), n
			break
		}
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 1 || n > (1<<40)/unit || n*unit < 1<<20 {
		return errSize
	}
	*to = n * unit
	return nil
}

func millis(to *time.Duration, v string) error {
	var n int
	if number(&n, v, 1, 3_600_000) != nil {
		return errMillis
	}
	*to = time.Duration(n) * time.Millisecond
	return nil
}
