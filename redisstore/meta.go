package redisstore

import (
	"context"
	"strconv"

	"github.com/poolkeeper/poolkeeper"
)

// Fields of the meta hash. Schema is what this version writes; a store whose
// minWriter is higher is not written to.
const (
	metaEpoch     = "epoch"
	metaSchema    = "schema"
	metaMinWriter = "minWriter"
	metaImporting = "importing"
	metaAdopting  = "adopting"

	schema = 1
)

// check reads meta and finds out whether the store can be used: the epoch is
// kept where it can.
func (s *Store) check(ctx context.Context) error {
	known := s.epoch.Load() // before what it is compared with
	meta, err := s.client.Do(ctx, s.client.B().Hgetall().Key(s.meta()).Build()).AsStrMap()
	if err != nil {
		return poolkeeper.Annotate(s.lookError(err), "", s.meta())
	}
	info := poolkeeper.Info{Importing: meta[metaImporting] != "" || meta[metaAdopting] != ""}
	epoch := meta[metaEpoch]
	switch {
	case known != nil && epoch != *known:
		// Whoever knows an epoch goes on with no other: what it has counted and
		// seen is of that one.
		info.Epoch, info.Problem = epoch, errEpoch.Detail
	case epoch == "":
		foreign := false
		if meta[metaImporting] == "" {
			if foreign, err = s.foreign(ctx); err != nil {
				return err
			}
		}
		if foreign { // unless they are what a restore has written meanwhile
			n, err := s.client.Do(ctx, s.client.B().Exists().Key(s.meta()).Build()).AsInt64()
			if err != nil {
				return readError(err)
			}
			if n > 0 && len(meta) == 0 {
				return s.check(ctx)
			}
		}
		if foreign {
			info.Problem = errForeign.Detail
		} else {
			info.Problem = errUninitialized.Detail
		}
	default:
		info.Ready = true
		if n, err := strconv.Atoi(meta[metaMinWriter]); meta[metaMinWriter] != "" && (err != nil || n > schema) {
			info.Ready = false
			info.Problem = errTooNew.Detail
		}
		info.Epoch = epoch
	}
	s.mu.Lock()
	late := s.epoch.Load() != known // somebody has seen the store initialised since
	if !late {
		if s.cause = info; known == nil && epoch != "" {
			s.epoch.Store(&epoch)
		}
	}
	s.mu.Unlock()
	if late {
		return s.check(ctx)
	}
	return nil
}

var (
	errUninitialized = poolkeeper.Errorf(poolkeeper.ErrUninitialized, "the store in Redis is empty").
				WithHint("run poolkeeper import --config-dir DIR, or poolkeeper init")
	errForeign = poolkeeper.Errorf(poolkeeper.ErrForeign, "Redis holds keys under this prefix that Poolkeeper did not write").
			WithHint("convert it by poolkeeper import --from-redis URL --in-place, or use another --key-prefix")
	errTooNew = poolkeeper.Errorf(poolkeeper.ErrForbidden, "the store was written by a newer version, which asks older ones not to write").
			WithHint("upgrade this poolkeeper")
)

// ready returns the epoch, or why the store cannot be used. It asks Redis
// again where the store was not initialised when last seen.
func (s *Store) ready(ctx context.Context) (string, error) {
	if e := s.epoch.Load(); e == nil {
		if err := s.check(ctx); err != nil {
			return "", err
		}
	}
	s.mu.Lock()
	problem := s.cause.Problem
	s.mu.Unlock()
	switch problem {
	case "", errTooNew.Detail: // which may be read
		return *s.epoch.Load(), nil
	case errForeign.Detail:
		return "", errForeign
	case errEpoch.Detail:
		return "", errEpoch
	}
	return "", errUninitialized
}

// writable is ready for those who are going to write.
func (s *Store) writable(ctx context.Context) error {
	if _, err := s.ready(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause.Problem == errTooNew.Detail {
		return errTooNew
	}
	return nil
}

// still makes sure that what was read, or found missing, is of the store that
// was opened: a Redis that has lost everything answers reads like an empty one.
func (s *Store) still(ctx context.Context, epoch string) error {
	now, err := s.client.Do(ctx, s.client.B().Hget().Key(s.meta()).Field(metaEpoch).Build()).ToString()
	switch {
	case err != nil && !isNil(err):
		return readError(err)
	case now != epoch:
		return errEpoch
	}
	return nil
}

// foreign reports whether there are keys under the prefix at all. It is asked
// only where there is no epoch.
func (s *Store) foreign(ctx context.Context) (bool, error) {
	for _, name := range []string{nameConfig, namePassword, nameMeta, nameTypes, nameOrder} {
		n, err := s.client.Do(ctx, s.client.B().Exists().Key(s.prefix+name).Build()).AsInt64()
		if err != nil {
			return false, readError(err)
		}
		if n > 0 {
			return true, nil
		}
	}
	found := false
	err := s.scan(ctx, s.prefix, func(keys []string) bool {
		for _, k := range keys {
			found = found || k != s.lock(s.meta()) && k != s.probe() // which are gone in a moment
		}
		return !found
	})
	return found, err
}

// Info implements poolkeeper.Backend.
func (s *Store) Info(ctx context.Context) (poolkeeper.Info, error) {
	info := poolkeeper.Info{Backend: "redis", Target: s.target.text, Writer: s.writer, Details: map[string]string{"prefix": s.prefix}}
	if err := ctx.Err(); err != nil {
		return info, err
	}
	if err := s.enter(); err != nil {
		return info, err
	}
	defer s.leave()
	if err := s.check(ctx); err != nil {
		if ctx.Err() != nil {
			return info, ctx.Err()
		}
		info.Problem = err.Error()
		return info, nil
	}
	s.mu.Lock()
	cause := s.cause
	s.mu.Unlock()
	info.Ready, info.Problem, info.Epoch, info.Importing = cause.Ready, cause.Problem, cause.Epoch, cause.Importing
	s.describe(ctx, &info)
	return info, nil
}

// describe adds what the server says of itself; what it does not say is left out.
func (s *Store) describe(ctx context.Context, info *poolkeeper.Info) {
	text, err := s.client.Do(ctx, s.client.B().Info().Section("server").Build()).ToString()
	if err == nil {
		if v := serverVersion(text); v != [2]int{} {
			info.Details["version"] = strconv.Itoa(v[0]) + "." + strconv.Itoa(v[1])
		}
	}
	s.askTime(ctx)
	s.clockSkew(info)
	if n := s.lostOps(); n > 0 {
		info.Details["lost"] = strconv.FormatInt(n, 10)
		info.Warnings = append(info.Warnings, "Redis has lost "+strconv.FormatInt(n, 10)+" acknowledged ops for good: the log names the keys")
	}
	if !s.publishes(ctx) {
		info.Warnings = append(info.Warnings, "the Redis user may not publish to "+s.prefix+"*: other instances learn of changes late")
	}
	left, err := s.client.Do(ctx, s.client.B().Exists().Key(s.leftovers()).Build()).AsInt64()
	if err == nil && left > 0 {
		info.Warnings = append(info.Warnings, "keys of the former layout are still there: run poolkeeper import --in-place again")
	}
	if p := policyOf(ctx, s.client); p != "" {
		info.Details["maxmemory-policy"] = p
		if w := evictionWarning(p); w != "" {
			info.Warnings = append(info.Warnings, w)
		}
	}
}
