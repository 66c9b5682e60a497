package faults_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/settings"
	"github.com/poolkeeper/poolkeeper/open"
)

// prefix is that of the keys in Redis.
const prefix = "faults:"

// What a command may take, and an instance's patience with an outage. Delays are
// longer than the first one.
const (
	commandTimeout = 300 * time.Millisecond
	fallbackAfter  = time.Second
)

// The providers that are counted, in pools of a slot of their own each.
const (
	poolCount     = 5
	providerCount = 50
)

func poolOf(provider int) string { return fmt.Sprint("pool", provider%poolCount) }

func refOf(provider int) poolkeeper.Ref {
	return poolkeeper.Ref{Type: poolOf(provider), ID: fmt.Sprintf("p%d", provider)}
}

// countKey is where Redis has the count of a provider, as the documentation says.
func countKey(provider int) (key, field string) {
	return "faults:state:{faults:pools:" + poolOf(provider) + "}", fmt.Sprintf("p%d:usageCount", provider)
}

// resolve makes settings as the service does.
func resolve(url, state string) (*settings.Settings, error) {
	env := map[string]string{
		"REDIS_URL": url, "REDIS_KEY_PREFIX": prefix,
		"REDIS_COMMAND_TIMEOUT": fmt.Sprint(commandTimeout.Milliseconds()), "REDIS_CONNECT_TIMEOUT": fmt.Sprint(commandTimeout.Milliseconds()),
		"POOLKEEPER_FALLBACK_AFTER": fallbackAfter.String(),
	}
	return settings.Resolve(settings.Input{
		Flags: map[string]string{"config-dir": state + "/configs", "state-dir": state + "/state"},
		Env:   func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	})
}

// direct opens a store as a command does: what it cannot do now fails.
func direct(t *testing.T, url string) *poolkeeper.Store {
	t.Helper()
	set, err := resolve(url, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	set.Redis.CommandTimeout, set.Redis.ConnectTimeout = 20*time.Second, 20*time.Second
	st, err := open.Store(t.Context(), set, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

// fill puts the providers that are counted into an empty store.
func fill(t *testing.T, url string) *poolkeeper.Store {
	t.Helper()
	st := direct(t, url)
	snap := poolkeeper.NewSnapshot()
	pools := map[string]*poolkeeper.Pool{}
	for i := range providerCount {
		ref := refOf(i)
		if pools[ref.Type] == nil {
			pools[ref.Type] = &poolkeeper.Pool{Type: ref.Type}
			snap.AddPool(pools[ref.Type])
		}
		pools[ref.Type].Providers = append(pools[ref.Type].Providers,
			poolkeeper.Provider{Ref: ref, Definition: fmt.Appendf(nil, `{"uuid":%q,"note":%q}`, ref.ID, strings.Repeat("x", 400))})
	}
	snap.Values[poolkeeper.ConfigKey] = poolkeeper.Document{Data: []byte(`{"MAX_ERROR_COUNT":1000000}`)}
	if err := st.Restore(t.Context(), snap); err != nil {
		t.Fatal(err)
	}
	return st
}

// until waits for what must come.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain for a minute: %s", what)
		}
	}
}
