package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/settings"
	"github.com/poolkeeper/poolkeeper/server"
)

// keyFile is what the file of the key is called in the state directory.
const keyFile = "api-key"

// A serviceKey is the key of the REST API and where it came from.
type serviceKey struct {
	secret settings.Secret
	source string // for people
	file   string // where it can be read; empty where it was configured
}

// apiKey returns the configured key, or the one that is kept in the state
// directory, which it makes where there is none.
func apiKey(set *settings.Settings) (serviceKey, error) {
	if !set.APIKey.IsZero() {
		for _, e := range set.Entries() {
			if e.Name == "apiKey" {
				return serviceKey{set.APIKey, "the configured one (" + e.Source + ")", ""}, nil
			}
		}
	}
	path, err := filepath.Abs(filepath.Join(set.StateDir, keyFile))
	if err != nil {
		return serviceKey{}, poolkeeper.Errorf(poolkeeper.ErrForbidden, "state directory: %v", err)
	}
	refuse := func(err error) (serviceKey, error) {
		return serviceKey{}, poolkeeper.Errorf(poolkeeper.ErrForbidden, "the API key cannot be kept: %v", err).
			WithHint("set POOLKEEPER_API_KEY, or POOLKEEPER_STATE_DIR to a directory that can be written")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return refuse(err)
	}
	key, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := writeKey(path, randomKey()); err != nil {
			return refuse(err)
		}
		// Read back: another service may have been first.
		key, err = readKey(path)
	}
	if err != nil {
		return serviceKey{}, err
	}
	return serviceKey{settings.NewSecret(key), "in " + path, path}, nil
}

func readKey(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return "", poolkeeper.Errorf(poolkeeper.ErrForbidden, "the key file %s is no file that only its owner can read", path).
			WithHint("chmod 600 it if nobody else has read it, or remove it for a new key")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", poolkeeper.Errorf(poolkeeper.ErrForbidden, "%v", err)
	}
	key := strings.TrimSpace(string(data))
	if len(key) < server.MinKey || strings.ContainsAny(key, " \t\r\n") {
		return "", poolkeeper.Errorf(poolkeeper.ErrDamaged, "the key file %s does not hold a key of at least %d characters", path, server.MinKey).
			WithHint("remove it for a new key")
	}
	return key, nil
}

// writeKey writes a key file whole or not at all, and never over another one.
func writeKey(path, key string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".api-key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(key + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
