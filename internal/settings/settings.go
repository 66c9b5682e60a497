// Package settings resolves what Poolkeeper is told from outside, once, into
// one plain struct: flag before environment before config.json of the directory
// before default. Every value keeps the source that it came from.
//
// An empty environment variable or flag, and an empty string or null in
// config.json, count as not given. A value that cannot be parsed is an error
// that names where it stands and the rule, never the value.
package settings

import (
	"errors"
	"log/slog"
	"syscall"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// The backends that can be chosen.
const (
	BackendAuto   = "auto"
	BackendRedis  = "redis"
	BackendFile   = "file"
	BackendMemory = "memory"
)

// Settings are the resolved settings.
type Settings struct {
	// Backend is never BackendAuto, which is resolved.
	Backend   string
	ConfigDir string
	StateDir  string
	// Addr is where the service listens, as host:port.
	Addr string
	// AllowedHosts are further names that the service is called by, such as that
	// of a proxy before it.
	AllowedHosts []string
	APIKey       Secret
	LogLevel     slog.Level
	LogFormat    string // "text", "json"; empty: text on a terminal, else json
	Redis        Redis
	Journal      Journal
	// FallbackAfter is how long an outage lasts until it counts as persistent.
	FallbackAfter time.Duration
	// Durability says when a write to Redis is answered: "primary" or "replicated".
	Durability string

	entries []Entry
	unknown []string
	fault   error
}

// Redis is how to reach Redis. Of the ways to say so the resolved one is in
// URL, with the credentials that belong to it beside it.
type Redis struct {
	Enabled bool
	URL     Secret
	// Username and Password are for a URL without credentials of its own.
	Username string
	Password Secret
	// SentinelUsername and SentinelPassword are what the sentinels ask for.
	SentinelUsername string
	SentinelPassword Secret
	// TLS is for a rediss URL.
	TLS            TLS
	KeyPrefix      string
	ConnectTimeout time.Duration
	CommandTimeout time.Duration
}

// Where the journal of what waits for Redis is.
const (
	JournalDisk   = "disk"
	JournalMemory = "memory"
)

// Journal says how much may wait for Redis, and where.
type Journal struct {
	Kind string // JournalDisk or JournalMemory
	// MaxBytes bounds what waits. DropOldest gives up the oldest of what traffic
	// counts when it is full; otherwise new ops are refused then.
	MaxBytes   int64
	DropOldest bool
}

// An Entry is one setting for people: its value, redacted, and its source.
type Entry struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

// Entries lists every setting in a fixed order, without secrets.
func (s *Settings) Entries() []Entry { return append([]Entry(nil), s.entries...) }

// Check reports what is wrong with config.json of the directory, where a
// setting that decides which store is used would have been read from it. What
// opens a store calls it first; what only reads the directory need not.
func (s *Settings) Check() error {
	if s.fault == nil {
		return nil
	}
	if errors.Is(s.fault, syscall.ENOTDIR) {
		return poolkeeper.Errorf(poolkeeper.ErrInvalid, "%s is not a directory", s.ConfigDir).
			WithHint("name the configs/ directory of a gateway by --config-dir or POOLKEEPER_CONFIG_DIR")
	}
	return poolkeeper.Errorf(poolkeeper.ErrInvalid, "settings cannot be read from the directory: %v", s.fault).
		WithHint("mend the file, or give both --redis-url and --key-prefix, which come before it")
}
