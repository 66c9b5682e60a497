package main

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/client"
	"github.com/poolkeeper/poolkeeper/internal/settings"
	"github.com/poolkeeper/poolkeeper/open"
	"github.com/poolkeeper/poolkeeper/server"
)

// An instance is a running service that has the socket of the state directory.
type instance struct {
	client.Instance
	Socket string `json:"socket"`
	// Used says that it serves the store of the settings, so that commands go
	// through it.
	Used   bool `json:"used"`
	client *client.Client
}

const (
	// askWithin bounds how long an instance is given to say who it is.
	askWithin = 5 * time.Second
	// applyWithin bounds one request with ops: a pool of many providers that is
	// replaced as a whole takes a while.
	applyWithin = 2 * time.Minute
	// retryFor is short: the service has tried for a while itself.
	retryFor = time.Second
)

// running returns the instance that serves the store of the settings, or nil. One
// that cannot be asked is named on stderr, and the command does without it: a store
// in Redis has room for both, and a directory has its lock.
func (a *app) running(ctx context.Context, set *settings.Settings) *instance {
	if a.direct {
		return nil
	}
	if a.found == nil && !a.looked {
		a.looked = true
		in, err := find(ctx, set)
		if err != nil {
			hint := poolkeeper.HintOf(err)
			a.note("poolkeeper: the running instance is not used: %s", strings.Replace(err.Error(), " ("+hint+")", "", 1))
			a.note("hint: %s", cmp.Or(hint, "--direct does without it, and says nothing"))
		}
		a.found = in
	}
	if a.found == nil || !a.found.Used {
		return nil
	}
	return a.found
}

// forget has the instance looked for anew by the next that asks.
func (a *app) forget() {
	if a.found != nil {
		a.found.client.Close()
	}
	a.found, a.looked = nil, false
}

// find asks whoever listens on the socket of the state directory who it is. Where
// nobody does, there is no instance and no error.
func find(ctx context.Context, set *settings.Settings) (*instance, error) {
	dir, err := filepath.Abs(set.StateDir)
	if err != nil {
		return nil, nil
	}
	place, err := open.Place(set)
	if err != nil {
		return nil, nil // opening the store says what is wrong
	}
	in := &instance{Socket: filepath.Join(dir, server.SocketName)}
	if there, err := listens(in.Socket); !there || err != nil {
		return nil, poolkeeper.Annotate(err, "ask", in.Socket)
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	if err := in.ask(ctx, set, dir); err != nil {
		if there, _ := listens(in.Socket); !there {
			return nil, nil // it has just ended
		}
		return nil, poolkeeper.Annotate(err, "ask", in.Socket)
	}
	in.Used = in.Store == place
	return in, nil
}

// listens reports whether somebody listens on a socket. One that a service has left
// behind by being killed is nobody's. A socket that others can open may be
// somebody else's, who is not to be shown a key: it is an error.
func listens(path string) (bool, error) {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != fs.ModeSocket {
		return false, nil
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return false, poolkeeper.Errorf(poolkeeper.ErrForbidden, "its mode is %#o, so that others can reach it", perm).
			WithHint("start the service again, which makes it anew, or chmod 600 it")
	}
	if !trusted(path, info) {
		return false, errOtherUser
	}
	c, err := net.DialTimeout("unix", path, askWithin)
	switch {
	case err == nil:
		c.Close()
		return true, nil
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.EINVAL):
		return false, nil
	case errors.Is(err, fs.ErrPermission):
		return false, errOtherUser
	}
	return false, poolkeeper.Errorf(poolkeeper.ErrUnavailable, "%v", errors.Unwrap(err))
}

var errOtherUser = poolkeeper.Errorf(poolkeeper.ErrForbidden, "the socket belongs to another user").
	WithHint("run the command as the user of the service")

// ask shows the key that is configured, and then the one that is kept in the state
// directory.
func (in *instance) ask(ctx context.Context, set *settings.Settings, dir string) error {
	last := error(poolkeeper.Errorf(poolkeeper.ErrUnauthorized, "there is no key, neither configured nor in %s", dir))
	for _, key := range []func() (string, error){
		func() (string, error) { return set.APIKey.Reveal(), nil },
		func() (string, error) { return readKey(filepath.Join(dir, keyFile)) },
	} {
		secret, err := key()
		if errors.Is(err, fs.ErrNotExist) || err == nil && secret == "" {
			continue
		}
		if err == nil {
			err = in.dial(ctx, secret)
		}
		if err == nil || !errors.Is(err, poolkeeper.ErrUnauthorized) {
			return err
		}
		last = poolkeeper.Errorf(poolkeeper.ErrUnauthorized, "it does not take the key")
	}
	var e *poolkeeper.Error
	errors.As(last, &e)
	return e.WithHint("give the key that the service was started with: POOLKEEPER_API_KEY_FILE")
}

func (in *instance) dial(ctx context.Context, key string) error {
	c, err := client.New("unix://"+in.Socket, key, &client.Options{Timeout: applyWithin, RetryFor: retryFor})
	if err != nil {
		return err
	}
	if in.Instance, err = c.Instance(ctx); err != nil {
		c.Close()
		return err
	}
	in.client = c
	return nil
}
