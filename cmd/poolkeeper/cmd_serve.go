package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/metrics"
	"github.com/poolkeeper/poolkeeper/internal/settings"
	"github.com/poolkeeper/poolkeeper/open"
	"github.com/poolkeeper/poolkeeper/server"
	"github.com/spf13/cobra"
)

func (a *app) serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the REST API",
		Long: `Serves the REST API of the store until it is interrupted (SIGINT or SIGTERM); the
requests under way are answered first.

Clients show a key, as "Authorization: Bearer KEY": that of POOLKEEPER_API_KEY,
POOLKEEPER_API_KEY_FILE or config.json; where there is none, one is made at the
first start and kept in the state directory, readable for the owner only. Programs
of this user also reach the service on a socket there, poolkeeper.sock, and the
other commands go through it. An address that other machines can reach is served
only with a configured key.

With Redis, reads come from a copy in memory, which follows what any instance
changes. While Redis is away they go on from that, and what can wait is answered as
"queued": it is in a journal in the state directory, and is brought to Redis when
that is back. Redis need not be there at the start. Where it is empty, the directory
is served until import or init has filled it. Without Redis the
store is the directory itself: each change is synced to a journal before it is
answered, and is in the files soon after. The gateway must not run on the same
directory. With --backend memory the directory is read at the start, and changes
are NOT written back.

A request under a name that is not the service's own is refused: its names are
localhost, the host of --addr, the address that it was reached at, and those of
--allowed-host, for a proxy that passes on the name that it was called by.`,
		Example: `  poolkeeper serve --redis-url redis://localhost:6379
  poolkeeper serve --config-dir ./configs
  POOLKEEPER_API_KEY_FILE=/run/secrets/key poolkeeper serve --addr 0.0.0.0:8787
  poolkeeper serve --allowed-host pool.example.com`,
		Args: need(),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context()) },
	}
	cmd.Flags().Var(new(hostList), "allowed-host", "answer under this `HOST` as well, such as that of a proxy; may be given several times")
	cmd.Flags().String("addr", "", "listen on `HOST:PORT`; port 0 takes a free one (default 127.0.0.1:8787)")
	return cmd
}

func (a *app) serve(ctx context.Context) error {
	set, err := a.settings()
	if err != nil {
		return err
	}
	if set.APIKey.IsZero() && !isLoopback(set.Addr) {
		return poolkeeper.Errorf(poolkeeper.ErrForbidden, "%s can be reached from other machines, and no API key is configured", set.Addr).
			WithHint("set POOLKEEPER_API_KEY or POOLKEEPER_API_KEY_FILE, or listen on 127.0.0.1")
	}
	key, err := apiKey(set)
	if err != nil {
		return err
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", set.Addr)
	if err != nil {
		return poolkeeper.Errorf(poolkeeper.ErrForbidden, "cannot listen on %s: %v", set.Addr, err).WithHint("choose another --addr")
	}
	lns := []net.Listener{ln}
	defer func() {
		for _, l := range lns {
			l.Close() // a second time does no harm
		}
	}()
	st, err := a.served(ctx, set)
	if err != nil {
		return err
	}
	log := a.logger(set)
	defer func() {
		if err := st.Close(); err != nil {
			log.Error("the store was not closed well", "error", err)
		}
	}()
	place, err := open.Place(set)
	if err != nil {
		return err
	}
	sock, err := a.socket(set)
	if err != nil { // the port does without it
		log.Warn("there is no socket", "error", err)
	} else {
		lns = append(lns, sock)
	}
	srv := a.service(set, st, key.secret.Reveal(),
		server.Instance{PID: os.Getpid(), Address: "http://" + ln.Addr().String(), Store: place})
	if err := a.announce(set, key, ln.Addr().String(), sock); err != nil {
		return err
	}
	if names := set.Unknown(); len(names) > 0 {
		log.Warn("config.json has names under poolkeeper that are no settings, and have no effect", "names", names)
	}
	log.Info("serving", "version", version(), "backend", set.Backend, "addr", ln.Addr().String())
	err = srv.Serve(ctx, lns...)
	log.Info("stopped")
	return err
}

// service is the REST API of a store, measured.
func (a *app) service(set *settings.Settings, st *poolkeeper.Store, key string, at server.Instance) *server.Server {
	measured := metrics.New(version())
	// The Store over the layer stands in for st, whose backend it has.
	watched := poolkeeper.New(measured.Wrap(st.Backend()), nil)
	srv := server.New(watched, &server.Options{Key: key, Addr: set.Addr, AllowedHosts: set.AllowedHosts, Logger: a.logger(set), Version: version(), Telemetry: measured, Instance: at})
	measured.Connections(srv.Connections)
	return srv
}

// A hostList is a flag that may be given several times.
type hostList string

func (l *hostList) String() string { return string(*l) }
func (l *hostList) Type() string   { return "string" }

func (l *hostList) Set(v string) error {
	if *l != "" {
		v = string(*l) + "," + v
	}
	*l = hostList(v)
	return nil
}

// socket listens in the state directory.
func (a *app) socket(set *settings.Settings) (net.Listener, error) {
	dir, err := filepath.Abs(set.StateDir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return nil, poolkeeper.Errorf(poolkeeper.ErrForbidden, "%v", err)
	}
	return server.ListenSocket(filepath.Join(dir, server.SocketName))
}

// served opens the store, and makes sure that it can serve.
func (a *app) served(ctx context.Context, set *settings.Settings) (*poolkeeper.Store, error) {
	if err := set.Check(); err != nil {
		return nil, err
	}
	if set.Backend == settings.BackendMemory {
		return a.loaded(ctx, set)
	}
	// Itself, whatever other service there is.
	st, err := open.Store(ctx, set, &open.Options{Logger: a.logger(set), Outlast: true})
	if err != nil || set.Backend == settings.BackendRedis { // which need not be there
		return st, err
	}
	if _, err := st.Types(ctx); err != nil {
		st.Close()
		return nil, err
	}
	return st, nil
}

// announce tells where the service is and how to call it, without the key.
func (a *app) announce(set *settings.Settings, key serviceKey, addr string, sock net.Listener) error {
	if set.Backend == settings.BackendMemory {
		a.logger(set).Warn("the directory was read into memory; changes are NOT written back, and are gone when this stops", "dir", set.ConfigDir)
	}
	base, path := "http://"+addr, ""
	if sock != nil {
		path = filepath.Join(set.StateDir, server.SocketName)
	}
	if a.json {
		return a.printJSON(map[string]string{"url": base, "socket": path, "backend": set.Backend, "keySource": key.source, "keyFile": key.file})
	}
	also := ""
	if path != "" {
		also = "\nSocket: " + path
	}
	header := `"Authorization: Bearer $POOLKEEPER_API_KEY"`
	if key.file != "" {
		header = fmt.Sprintf(`"Authorization: Bearer $(cat %s)"`, shellQuote(key.file))
	}
	return a.printf("Poolkeeper serves %s on %s%s\nAPI key: %s\nTry: curl -H %s %s/api/v1/status\n", backendText(set), base, also, key.source, header, base)
}

func backendText(set *settings.Settings) string {
	switch set.Backend {
	case settings.BackendMemory:
		return set.ConfigDir + " from memory"
	case settings.BackendFile:
		return set.ConfigDir
	}
	return settings.RedactURL(set.Redis.URL.Reveal())
}

// shellQuote quotes a path for $(cat …) where it has to be.
func shellQuote(path string) string {
	if strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./") == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// isLoopback reports whether an address can be reached from this machine only.
// A name but localhost may mean any address.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
