package main

import (
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/settings"
	"github.com/poolkeeper/poolkeeper/open"
	"github.com/poolkeeper/poolkeeper/transfer"
	"github.com/spf13/cobra"
)

// redisFlags say that a Redis is imported, and which.
type redisFlags struct {
	url, prefix string
	inPlace     bool
}

const (
	flagFromRedis  = "from-redis"
	flagFromPrefix = "from-key-prefix"
	flagInPlace    = "in-place"
)

func (f *redisFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.url, flagFromRedis, "", "import the Redis at `URL`; - reads the URL from standard input, where no other user can see it")
	cmd.Flags().StringVar(&f.prefix, flagFromPrefix, "", "`PREFIX` of all keys there (default that of the store)")
	cmd.Flags().BoolVar(&f.inPlace, flagInPlace, false, "convert the store where it lies; without --from-redis that of the settings")
}

func (f *redisFlags) given(cmd *cobra.Command) bool {
	for _, name := range []string{flagFromRedis, flagFromPrefix, flagInPlace} {
		if cmd.Flags().Changed(name) {
			return true
		}
	}
	return false
}

// check finds flags that do not go together.
func (f *redisFlags) check(cmd *cobra.Command) error {
	has := cmd.Flags().Changed
	switch {
	case has(flagFromRedis) && f.url == "", has(flagFromPrefix) && f.prefix == "":
		return badArgs(cmd, "flag --%s or --%s is empty", flagFromRedis, flagFromPrefix)
	case has(flagFromPrefix) && (!has(flagFromRedis) || f.inPlace):
		return badArgs(cmd, "--%s goes with --%s alone; a store that is converted in place has the prefix of --key-prefix", flagFromPrefix, flagFromRedis)
	case f.inPlace && has(flagFromRedis) && has("redis-url"):
		return badArgs(cmd, "--%s and --redis-url both name the store to convert in place: give one of them", flagFromRedis)
	case !f.inPlace && !has(flagFromRedis):
		return badArgs(cmd, "--%s is missing", flagFromRedis)
	}
	return nil
}

// source is the Redis that the flags name. Credentials of the settings, and those
// for TLS, belong to another one, and are not sent to it.
func (a *app) source(f *redisFlags, store *settings.Redis) (*settings.Redis, error) {
	if f.url == "" {
		return store, nil
	}
	url := f.url
	if url == "-" {
		line, err := a.readLine(4096)
		if err != nil {
			return nil, err
		}
		if url = strings.TrimSpace(string(line)); url == "" {
			return nil, poolkeeper.Errorf(poolkeeper.ErrInvalid, "standard input has no URL in its first line")
		}
	}
	r := settings.Redis{
		Enabled: true, URL: settings.NewSecret(url), KeyPrefix: store.KeyPrefix,
		ConnectTimeout: store.ConnectTimeout, CommandTimeout: store.CommandTimeout,
	}
	if f.prefix != "" {
		r.KeyPrefix = f.prefix
	}
	return &r, nil
}

// importRedis imports a Redis into the store, or converts it where it lies.
func (a *app) importRedis(cmd *cobra.Command, f *redisFlags, opts *transfer.ImportOptions) (*transfer.ImportResult, error) {
	if err := f.check(cmd); err != nil {
		return nil, err
	}
	set, err := a.settings()
	if err != nil {
		return nil, err
	}
	switch {
	case !f.inPlace:
		if err := a.lasting(cmd.Context(), set); err != nil {
			return nil, err
		}
	case f.url == "" && set.Backend != settings.BackendRedis:
		return nil, poolkeeper.Errorf(poolkeeper.ErrForbidden, "no Redis is configured that could be converted").
			WithHint("name it by --%s, or set REDIS_URL or REDIS_HOST", flagFromRedis)
	}
	at, err := a.source(f, &set.Redis)
	if err != nil {
		return nil, err
	}
	ctx := cmd.Context()
	from, err := open.Redis(ctx, at, &open.Options{Logger: a.logger(set)})
	if err != nil {
		return nil, poolkeeper.Annotate(err, "read", "--"+flagFromRedis)
	}
	defer from.Close()
	src := &transfer.Source{Name: settings.RedactURL(at.URL.Reveal())}
	if src.Snapshot, src.Notes, src.Unordered, err = from.Read(ctx); err != nil {
		return nil, poolkeeper.Annotate(err, "read", src.Name)
	}
	if f.inPlace {
		src.Adopt = from.Adopt
		return transfer.ImportSource(ctx, from.Store(), src, opts)
	}
	st, err := a.kept(ctx)
	if err != nil {
		return nil, err
	}
	defer st.Close()
	return transfer.ImportSource(ctx, st, src, opts)
}
