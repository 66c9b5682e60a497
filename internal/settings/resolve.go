package settings

import (
	"errors"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/poolkeeper/poolkeeper"
)

// Input is where settings come from.
type Input struct {
	// Flags are the flags that were given, by name without the dashes.
	Flags map[string]string
	// Env looks up a variable; nil: there are none.
	Env func(name string) (value string, ok bool)
}

// A rank orders the sources; the highest that has a value decides.
type rank int

const (
	fromDefault rank = iota
	fromFile
	fromEnv
	fromFlag
)

// given is what a source says.
type given struct {
	value, source string
	rank          rank
}

// Resolve resolves all settings. An error is [poolkeeper.ErrInvalid].
func Resolve(in Input) (*Settings, error) {
	if in.Env == nil {
		in.Env = func(string) (string, bool) { return "", false }
	}
	var d draft
	said := make(map[string]given, len(table))
	// The directory comes first: its config.json is a source of the others.
	dir, err := in.ask(&table[rowOf("configDir")], nil)
	if err != nil {
		return nil, err
	}
	file, fault := readSections(dir.value)
	for i := range table {
		r := &table[i]
		g, err := in.ask(r, file)
		if err != nil {
			if e, ok := errors.AsType[*poolkeeper.Error](err); ok && e.Hint == "" {
				err = e.WithHint("%s", r.wayOut(g, dir.value))
			}
			return nil, err
		}
		if r.name == "stateDir" && g.value == "" {
			g.value = defaultStateDir(in.Env, dir.value)
		}
		said[r.name] = g
		if g.value == "" {
			continue
		}
		if err := r.set(&d, g.value); err != nil {
			return nil, poolkeeper.Errorf(poolkeeper.ErrInvalid, "%s: %v", g.source, err).WithHint("%s", r.wayOut(g, dir.value))
		}
	}
	d.join(said)
	if err := d.joinExtras(said); err != nil {
		return nil, err
	}
	noRedis := d.backend == BackendMemory || d.backend == BackendFile || d.backend == BackendAuto && !d.Redis.Enabled && said["redis.enabled"].rank >= fromEnv
	if !noRedis && (said["redis.keyPrefix"].rank < fromEnv || d.place(said) < fromEnv) {
		d.fault = fault
	}
	d.list(said)
	d.unknown = file.unknown()
	s := d.Settings
	return &s, nil
}

func rowOf(name string) int {
	for i := range table {
		if table[i].name == name {
			return i
		}
	}
	panic("settings: no row " + name)
}

// ask finds the highest source that has a value.
func (in *Input) ask(r *row, file sections) (given, error) {
	if r.flag != "" {
		if v := in.Flags[r.flag]; v != "" {
			return given{v, "flag --" + r.flag, fromFlag}, nil
		}
	}
	if r.env != "" {
		g, err := in.askEnv(r)
		if err != nil || g.value != "" {
			return g, err
		}
	}
	if r.key != "" {
		source := "config.json " + r.section + "." + r.key
		v, ok, err := file.get(r)
		if err != nil {
			return given{source: source, rank: fromFile}, poolkeeper.Errorf(poolkeeper.ErrInvalid, "%s: %v", source, err)
		}
		if ok {
			return given{v, source, fromFile}, nil
		}
	}
	return given{r.def, "default", fromDefault}, nil
}

// maxSecretFile is the most that a file named by a …_FILE variable may hold.
const maxSecretFile = 64 << 10

func (in *Input) askEnv(r *row) (given, error) {
	v, _ := in.Env(r.env)
	name := r.env + "_FILE"
	var path string
	if r.file {
		path, _ = in.Env(name)
	}
	switch {
	case v != "" && path != "":
		return given{}, poolkeeper.Errorf(poolkeeper.ErrInvalid, "%s and %s are both set", r.env, name).WithHint("unset one of them")
	case path == "":
		return given{v, "environment " + r.env, fromEnv}, nil
	}
	of := given{source: "environment " + name, rank: fromEnv}
	data, err := readLimited(path, maxSecretFile)
	if err != nil {
		return of, poolkeeper.Errorf(poolkeeper.ErrInvalid, "the file that %s names cannot be read: %v", name, err)
	}
	// Editors and echo end a file with a line end that is no part of a secret.
	v = strings.TrimRight(string(data), "\r\n")
	if v == "" {
		return of, poolkeeper.Errorf(poolkeeper.ErrInvalid, "the file that %s names is empty", name)
	}
	of.value = v
	return of, nil
}

// place is the rank of the source that says where Redis is.
func (d *draft) place(said map[string]given) rank {
	where := fromDefault
	if d.redisURL != "" {
		where = said["redis.url"].rank
	}
	return max(where, said["redis.host"].rank)
}

// urlCounts reports whether it is the URL that says where Redis is.
func (d *draft) urlCounts(said map[string]given) bool {
	return d.redisURL != "" && said["redis.url"].rank >= said["redis.host"].rank
}

// join makes one target of the ways to name it, and resolves the backend. The
// URL counts, unless a higher source names a host; Redis is enabled where one
// is named, unless the same or a higher source says otherwise.
func (d *draft) join(said map[string]given) {
	place := d.place(said)
	if enabled := said["redis.enabled"]; enabled.rank < place {
		d.Redis.Enabled = true
	}
	d.Backend = d.backend
	if d.backend == BackendAuto {
		d.Backend = BackendFile
		if d.Redis.Enabled {
			d.Backend = BackendRedis
		}
	}
	// Credentials of a lower source belong to another server: never send them to
	// this one. Those in the URL win.
	own := d.urlCounts(said) && hasCredentials(d.redisURL)
	if own || said["redis.password"].rank < place {
		d.Redis.Password = Secret{}
	}
	if own || said["redis.username"].rank < place {
		d.Redis.Username = ""
	}
	if d.urlCounts(said) {
		d.Redis.URL = NewSecret(d.redisURL)
		return
	}
	u := url.URL{Scheme: "redis", Host: net.JoinHostPort(d.host, strconv.Itoa(d.port)), Path: "/" + strconv.Itoa(d.db)}
	d.Redis.URL = NewSecret(u.String())
}

// list writes down every value with its source.
func (d *draft) list(said map[string]given) {
	for _, r := range table {
		g := said[r.name]
		value := g.value
		if r.show != nil && value != "" {
			value = r.show(value)
		}
		switch r.name {
		case "redis.enabled":
			value = strconv.FormatBool(d.Redis.Enabled)
			if place := d.place(said); g.rank < place {
				g.source = "a URL or host is set"
			}
		case "redis.host", "redis.port", "redis.db":
			if d.urlCounts(said) && g.rank > fromDefault {
				g.source += ", not used: the URL counts"
			}
		case "redis.username", "redis.password":
			own := d.urlCounts(said) && hasCredentials(d.redisURL)
			switch {
			case value == "" || !own && g.rank >= d.place(said):
			case d.urlCounts(said):
				g.source += ", not used: the URL has its own, or is of a higher source"
			default:
				g.source += ", not used: the host is of a higher source"
			}
		case "redis.sentinelUsername", "redis.sentinelPassword", "redis.tlsCaFile", "redis.tlsCertFile", "redis.tlsKeyFile", "redis.tlsServerName":
			if value != "" && g.rank < d.place(said) {
				g.source += ", not used: the URL or host is of a higher source"
			}
		case "redis.url":
			if value != "" && !d.urlCounts(said) {
				g.source += ", not used: " + said["redis.host"].source + " counts"
			}
		case "backend":
			if g.value == BackendAuto {
				value = BackendAuto + " (" + d.Backend + ")"
			}
		}
		d.entries = append(d.entries, Entry{Name: r.name, Value: value, Source: g.source})
	}
}

// defaultStateDir is poolkeeper in the state directory of the user, or beside
// the configs directory where the user has no home.
func defaultStateDir(env func(string) (string, bool), configDir string) string {
	if dir, _ := env("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "poolkeeper")
	}
	if home, _ := env("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", "poolkeeper")
	}
	return filepath.Join(filepath.Dir(filepath.Clean(configDir)), ".poolkeeper")
}
