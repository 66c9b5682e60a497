// Package redisstore keeps a store in Redis, for any number of instances:
// standalone, behind Sentinel or as a Cluster. docs/formats.md has the keys.
//
// Every mutation is a script that runs in the slot of one key. Ops on one key
// travel in batches, one at a time, each under a sequence of its own, see lane:
// a batch that was sent twice is applied once.
package redisstore

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/redis/rueidis"
)

// Defaults of Options.
const (
	DefaultPrefix         = "aiclient:"
	DefaultConnectTimeout = 5 * time.Second
	DefaultCommandTimeout = time.Second
	DefaultRetryFor       = 5 * time.Second
	DefaultTailTime       = 30 * time.Second
	DefaultTailBytes      = 64 << 20
)

// Options of a Store. A nil *Options means all defaults.
type Options struct {
	// Prefix of all keys: 1 to 64 of A-Z a-z 0-9 _ . : -
	Prefix string
	// Username and Password, where the URL has none; DB likewise.
	Username, Password string
	DB                 int
	// SentinelUsername and SentinelPassword are what the sentinels ask for; a
	// URL has none of them.
	SentinelUsername, SentinelPassword string
	// TLS is used for rediss URLs, for the sentinels as well; the system's roots
	// where nil.
	TLS *tls.Config
	// ConnectTimeout bounds one attempt to connect, CommandTimeout one command.
	// A caller that nobody is in front of sends the batch that its op is in by
	// itself, and does not leave it: it may return up to CommandTimeout after
	// its context has ended.
	ConnectTimeout, CommandTimeout time.Duration
	// RetryFor is how long an op is tried before its caller gets
	// ErrUnavailable or ErrIndeterminate.
	RetryFor time.Duration
	// Spool makes durable what is on its way, see spool.go; nil where nothing is
	// queued. With it, an op that was sent and has no answer within CommandTimeout
	// is frozen and answered [poolkeeper.Queued], one that was not sent by then is
	// ErrUnavailable, and RetryFor is for ops only that cannot be queued.
	Spool poolkeeper.Spool
	// Durability is [Primary] where empty. It holds for ops, not for a Restore.
	Durability Durability
	// TailTime and TailBytes bound what is kept of what Redis has acknowledged: it is
	// applied again where Redis loses it. A negative one keeps nothing: such a loss
	// is refused then, and no more.
	TailTime  time.Duration
	TailBytes int64
	// Heard is called whenever something arrives over a connection that the opening
	// has made. It may be nil.
	Heard func()
	// Held is what the instance has of a key as the store gave it, with the epoch of
	// that store: a pool, the order of the types, a value, or under a kind all values of
	// it; nil where it has nothing. It may refuse with ErrUnavailable for a while. What
	// Redis has lost of a key as a whole is put back from it. It may be nil.
	Held func(poolkeeper.Key) (*poolkeeper.Snapshot, error)
	// Logger gets what no caller can be told. It may be nil.
	Logger *slog.Logger
	// Now is the clock; time.Now where nil.
	Now func() time.Time
}

var prefixForm = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,64}$`)

func (o *Options) withDefaults() (*Options, error) {
	c := Options{}
	if o != nil {
		c = *o
	}
	if c.Prefix == "" {
		c.Prefix = DefaultPrefix
	}
	if !prefixForm.MatchString(c.Prefix) {
		return nil, poolkeeper.Errorf(poolkeeper.ErrInvalid, "key prefix %q is not 1 to 64 of A-Z a-z 0-9 _ . : -", c.Prefix)
	}
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{{&c.ConnectTimeout, DefaultConnectTimeout}, {&c.CommandTimeout, DefaultCommandTimeout}, {&c.RetryFor, DefaultRetryFor}} {
		if *d.v < 0 {
			return nil, poolkeeper.Errorf(poolkeeper.ErrInvalid, "a timeout is negative")
		}
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	switch c.Durability {
	case "":
		c.Durability = Primary
	case Primary, Replicated:
	default:
		return nil, poolkeeper.Errorf(poolkeeper.ErrInvalid, "the durability %q is none of primary, replicated", c.Durability)
	}
	if c.TailTime == 0 {
		c.TailTime = DefaultTailTime
	}
	if c.TailBytes == 0 {
		c.TailBytes = DefaultTailBytes
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &c, nil
}

// A Store is a poolkeeper.Backend in Redis.
type Store struct {
	keyspace
	opts    *Options
	target  target
	client  rueidis.Client
	cluster bool
	sharded bool // changes of pools are published in their shards
	writer  string
	second  string // the writer of what goes out behind a batch in flight

	epoch  atomic.Pointer[string] // nil until the store is seen initialised
	closed atomic.Bool
	stop   chan struct{}   // closed when lanes are to give up
	life   context.Context // ends when Close begins
	die    context.CancelFunc
	lanes  sync.Map // Redis key → *lane
	pools  sync.Map // provider type → *lane of its pool
	held   sync.Map // Redis keys of which ops are queued, for lanes that begin
	tally  *tally
	active sync.WaitGroup
	gate   sync.RWMutex // held for reading by each op, for writing by Close

	tails     tails
	losses    losses
	skew      atomic.Int64   // what the clock lacks to that of Redis, in ms
	suspected chan struct{}  // Redis may be another one than before
	watching  sync.WaitGroup // watchOver

	cause poolkeeper.Info // what check found, besides the epoch
	mu    sync.Mutex      // guards cause
}

var _ poolkeeper.Backend = (*Store)(nil)

// Open connects to the Redis that the URL names, see docs/settings.md for its
// forms. ErrUnavailable where it cannot be reached, ErrForbidden where it
// refuses the credentials, ErrInvalid for a URL or option that cannot be. A
// store that is not initialised, or foreign, opens; its ops say so. The context
// covers the opening only, and all of it: where it ends first its error is that of
// Open, however long the timeouts are.
func Open(ctx context.Context, url string, opts *Options) (*Store, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, poolkeeper.Annotate(err, "open", "Redis")
	}
	t, err := parseTarget(url, o)
	if err != nil {
		return nil, poolkeeper.Annotate(err, "open", "")
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	counts := &tally{}
	counts.counted(&t.option)
	opened := tied(ctx, &t.option, o.Heard)
	client, err := rueidis.NewClient(t.option)
	if err != nil {
		if client != nil {
			client.Close()
		}
		if late := opened(); late != nil {
			return nil, late
		}
		return nil, poolkeeper.Annotate(openError(err), "open", t.text)
	}
	s := &Store{
		keyspace: keyspace{o.Prefix},
		opts:     o,
		target:   t,
		tally:    counts,
		client:   client,
		cluster:  !t.option.ForceSingleClient,
		writer:   newWriter(),
		second:   newWriter(),
		stop:     make(chan struct{}),

		suspected: make(chan struct{}, 1),
	}
	s.life, s.die = context.WithCancel(context.Background())
	known, err := s.connect(ctx)
	if late := opened(); late != nil {
		err = late
	}
	if err != nil {
		s.die()
		client.Close()
		return nil, poolkeeper.Annotate(err, "open", t.text)
	}
	if s.keepsTail() {
		counts.dialed.Store(&s.suspected)
	}
	s.watching.Go(func() { s.watchOver(known) })
	return s, nil
}

// newWriter draws the id of an instance.
func newWriter() string {
	var id [8]byte
	rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// openError is readError for a client that could not be made: no command was
// sent, and a refusal to be reached is an outage whatever it looks like.
func openError(err error) error {
	f := classify(err)
	if f.sent || f.again {
		return unavailable(err)
	}
	return f.err
}

// connect learns what the server is and what the store is. It returns who the
// server is.
func (s *Store) connect(ctx context.Context) (known string, err error) {
	info, err := s.ask(ctx, func(b rueidis.Builder) rueidis.Completed { return b.Info().Section("server").Build() }).ToString()
	if err != nil {
		f := classify(err)
		if !strings.Contains(err.Error(), "NOPERM") {
			if f.sent {
				return "", unavailable(err)
			}
			return "", f.err
		}
	}
	if known, err = s.identity(ctx); err != nil {
		known = "" // of one node of several: watchOver asks again
	}
	if v := serverVersion(info); v != [2]int{} {
		if v[0] < 6 || v[0] == 6 && v[1] < 2 {
			return "", poolkeeper.Errorf(poolkeeper.ErrForbidden, "Redis is version %d.%d; 6.2 or later is needed", v[0], v[1])
		}
		if s.cluster && v[0] >= 7 {
			s.sharded = true
		}
	}
	if err := s.mayWait(ctx); err != nil {
		return "", err
	}
	if w := evictionWarning(policyOf(ctx, s.client)); w != "" {
		s.opts.Logger.Warn(w, "redis", s.target.text)
	}
	return known, s.check(ctx)
}

func serverVersion(info string) (v [2]int) {
	for line := range strings.Lines(info) {
		if rest, ok := strings.CutPrefix(line, "redis_version:"); ok {
			fmt.Sscanf(rest, "%d.%d", &v[0], &v[1]) // a form that is none leaves zeros: unknown
		}
	}
	return v
}

// Close waits for the ops under way, at most as long as they are tried, and
// then forgets this writer in the keys where nothing can still come late.
func (s *Store) Close() error {
	s.gate.Lock()
	if s.closed.Swap(true) {
		s.gate.Unlock()
		return nil
	}
	s.gate.Unlock()
	s.die()
	idle := make(chan struct{})
	go func() {
		s.active.Wait()
		close(idle)
	}()
	timer := time.NewTimer(s.patience())
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C:
	}
	close(s.stop)
	s.active.Wait()
	s.watching.Wait()
	s.unmended()
	s.forget()
	s.client.Close()
	return nil
}

// forget takes this writer's last sequences out of the keys that it wrote to,
// where no batch was ever sent twice: a late copy of one cannot be under way.
// It is a courtesy that keeps ctl small where commands come and go.
func (s *Store) forget() {
	var cmds rueidis.Commands
	s.lanes.Range(func(_, v any) bool {
		l := v.(*lane)
		for i := range l.senders {
			if from := &l.senders[i]; from.seq > 0 && !from.resent && len(cmds) < 1000 {
				cmds = append(cmds, s.client.B().Hdel().Key(s.ctl(l.key)).Field("w:"+from.writer).Build())
			}
		}
		return true
	})
	if len(cmds) > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), s.opts.CommandTimeout)
		defer cancel()
		s.client.DoMulti(ctx, cmds...) // whatever it comes to: the entries expire
	}
}

// enter admits one call; leave must follow where it returns nil.
func (s *Store) enter() error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.closed.Load() {
		return &poolkeeper.Error{Err: poolkeeper.ErrClosed}
	}
	s.active.Add(1)
	return nil
}

func (s *Store) leave() { s.active.Done() }
