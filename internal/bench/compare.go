package bench

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/redis/rueidis"
)

// compound is what counting a use takes at least where one call is one
// command: the counter, the time, and a look at the definition.
const compound = `local n = redis.call('HINCRBY', KEYS[1], ARGV[1] .. ':usageCount', 1)
redis.call('HSET', KEYS[1], ARGV[1] .. ':lastUsed', ARGV[2])
redis.call('HGET', KEYS[2], ARGV[1])
return n`

// Names of the comparators.
const (
	CompareCompound = "compound script -P 1"
	CompareHincrby  = "HINCRBY -P 64"
)

// A Side is a connection beside the store, for the comparators and for taking
// away what was written.
type Side struct {
	client rueidis.Client
	option rueidis.ClientOption
	prefix string
}

// OpenSide connects to a single Redis. All keys of the measurement begin with
// the prefix, which must be used by nothing else.
func OpenSide(url, prefix string) (*Side, error) {
	option, err := rueidis.ParseURL(url)
	if err != nil { // the error may hold the URL
		return nil, poolkeeper.Errorf(poolkeeper.ErrInvalid, "the URL cannot be used for measuring").WithHint("give that of a single Redis, as redis://localhost:6379")
	}
	option.DisableCache, option.ForceSingleClient = true, true
	client, err := rueidis.NewClient(option)
	if err != nil {
		return nil, poolkeeper.Errorf(poolkeeper.ErrUnavailable, "Redis cannot be reached for measuring")
	}
	return &Side{client, option, prefix}, nil
}

// Close removes every key with the prefix and closes the connection.
func (s *Side) Close(ctx context.Context) error {
	defer s.client.Close()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	for cursor := uint64(0); ; {
		page, err := s.client.Do(ctx, s.client.B().Scan().Cursor(cursor).Match(s.prefix+"*").Count(1000).Build()).AsScanEntry()
		if err == nil && len(page.Elements) > 0 {
			err = s.client.Do(ctx, s.client.B().Unlink().Key(page.Elements...).Build()).Error()
		}
		if err != nil {
			return poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the keys of the measurement, %s*, could not be removed", s.prefix)
		}
		if cursor = page.Cursor; cursor == 0 {
			return nil
		}
	}
}

// SlowScripts counts the scripts in the slow log of Redis and empties it.
func (s *Side) SlowScripts(ctx context.Context) (int, error) {
	log, err := s.client.Do(ctx, s.client.B().Arbitrary("SLOWLOG", "GET", "-1").Build()).ToArray()
	if err == nil {
		err = s.client.Do(ctx, s.client.B().Arbitrary("SLOWLOG", "RESET").Build()).Error()
	}
	if err != nil {
		return 0, poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the slow log of Redis cannot be read")
	}
	slow := 0
	for i := range log {
		entry, _ := log[i].ToArray() // id, time, microseconds, the command, …
		if len(entry) < 4 {
			continue
		}
		command, _ := entry[3].AsStrSlice()
		if len(command) > 0 && strings.HasPrefix(strings.ToUpper(command[0]), "EVAL") {
			slow++
		}
	}
	return slow, nil
}

// Compare runs redis-benchmark. skipped says why there is nothing to compare
// with, where there is not.
func (s *Side) Compare(ctx context.Context, providers int, duration time.Duration) (rows []Row, skipped string, err error) {
	bin, lookErr := exec.LookPath("redis-benchmark")
	if lookErr != nil {
		return nil, "redis-benchmark is not on the PATH", nil
	}
	if s.option.Password != "" || s.option.Username != "" || s.option.TLSConfig != nil {
		return nil, "redis-benchmark would need the credentials as arguments, which others can see", nil
	}
	sha, err := s.client.Do(ctx, s.client.B().ScriptLoad().Script(compound).Build()).ToString()
	if err != nil {
		return nil, "Redis does not take scripts by SCRIPT LOAD", nil
	}
	var args []string
	if addr := s.option.InitAddress[0]; strings.HasPrefix(addr, "/") {
		args = []string{"-s", addr}
	} else if host, port, err := net.SplitHostPort(addr); err == nil {
		args = []string{"-h", host, "-p", port}
	}
	args = append(args, "--csv", "--precision", "3", "--dbnum", strconv.Itoa(s.option.SelectDB), "-r", strconv.Itoa(providers))
	seconds := max(duration.Seconds(), 0.1)
	for _, c := range []struct {
		what    string
		clients int
		number  float64 // of requests in a second, about
		args    []string
	}{
		{CompareCompound, 100, 45_000, []string{"-P", "1", "EVALSHA", sha, "2", s.prefix + "{c}state", s.prefix + "{c}pool", "__rand_int__", "2026-01-01T00:00:00.000Z"}},
		{CompareHincrby, 50, 600_000, []string{"-P", "64", "HINCRBY", s.prefix + "{c}plain", "__rand_int__:usageCount", "1"}},
	} {
		row := Row{What: c.what, Callers: c.clients}
		full := append(append([]string{}, args...), "-c", strconv.Itoa(c.clients), "-n", strconv.Itoa(int(c.number*seconds)))
		out, err := exec.CommandContext(ctx, bin, append(full, c.args...)...).Output()
		if ctx.Err() != nil {
			return nil, "", ctx.Err()
		}
		if err == nil {
			err = row.parse(out)
		}
		if err != nil {
			return rows, "redis-benchmark failed: " + err.Error(), nil
		}
		rows = append(rows, row)
	}
	return rows, "", nil
}

// parse reads the CSV of redis-benchmark: requests in a second, and latencies
// in milliseconds. It does not escape the command in the first field, so the
// last line is read from its end: rps, avg, min, p50, p95, p99, max.
func (r *Row) parse(out []byte) error {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	fields := strings.Split(lines[len(lines)-1], ",")
	if len(fields) < 8 {
		return errors.New("its output has no latencies")
	}
	var n [7]float64
	for i, s := range fields[len(fields)-7:] {
		var err error
		if n[i], err = strconv.ParseFloat(strings.Trim(s, `"`), 64); err != nil || n[i] < 0 {
			return errors.New("its output has no numbers")
		}
	}
	r.PerSecond = n[0]
	r.P50, r.P99, r.Max = Micros(n[3]*1e6), Micros(n[5]*1e6), Micros(n[6]*1e6)
	return nil
}
