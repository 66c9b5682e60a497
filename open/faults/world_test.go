package faults_test

import (
	"errors"
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

// addValues puts values beside what fill has made.
func addValues(t *testing.T, st *poolkeeper.Store) {
	t.Helper()
	for _, key := range theValues {
		if res := st.Apply(t.Context(), poolkeeper.Op{Kind: poolkeeper.OpPut, Key: key, Data: dataOf(key)})[0]; res.Err != nil {
			t.Fatal(res.Err)
		}
	}
}

// dataOf is what addValues puts under a key.
func dataOf(key poolkeeper.Key) []byte {
	if key.Kind == poolkeeper.KindTokenRefs {
		return []byte(`["pool0","p0"]`)
	}
	return fmt.Appendf(nil, `{"of":%q}`, key.String())
}

// theValues are those of addValues.
var theValues = []poolkeeper.Key{poolkeeper.TokenKey(refOf(0)), poolkeeper.TokenKey(refOf(1)), poolkeeper.DocumentKey("a.json"), {Kind: poolkeeper.KindTokenRefs, Name: "configs/a.json"}}

// complete fails the test where anything is missing of what fill and addValues have made,
// but for the counts: as a store with a copy reads it in Redis itself, and then as it is
// there for everybody.
func complete(t *testing.T, st *poolkeeper.Store, url string) {
	t.Helper()
	keys := append([]poolkeeper.Key{poolkeeper.PoolsKey, poolkeeper.TypesKey, poolkeeper.ConfigKey}, theValues...)
	for _, read := range []func() (*poolkeeper.Snapshot, error){
		func() (*poolkeeper.Snapshot, error) {
			return st.Backend().Load(poolkeeper.ReadCurrent(t.Context()), keys...)
		},
		func() (*poolkeeper.Snapshot, error) { return direct(t, url).Backend().Load(t.Context(), keys...) },
	} {
		var snap *poolkeeper.Snapshot
		until(t, "Redis can be read", func() (ok bool) {
			var err error
			snap, err = read()
			if err != nil && !errors.Is(err, poolkeeper.ErrUnavailable) {
				t.Fatal(err)
			}
			return err == nil
		})
		if got := fmt.Sprint(snap.Types); got != "[pool0 pool1 pool2 pool3 pool4]" {
			t.Errorf("the types are %s", got)
		}
		for i := range providerCount {
			if p := snap.Provider(refOf(i)); p == nil || !strings.Contains(string(p.Definition), "xxx") {
				t.Errorf("provider %s is %+v", refOf(i), p)
			}
		}
		for _, pool := range snap.Pools {
			for i := range pool.Providers {
				if want := fmt.Sprint("p", poolCount*i+int(pool.Type[4]-'0')); pool.Providers[i].ID != want {
					t.Errorf("in %s %s is at %d", pool.Type, pool.Providers[i].ID, i)
				}
			}
		}
		for _, key := range append([]poolkeeper.Key{poolkeeper.ConfigKey}, theValues...) {
			if d, ok := snap.Values[key]; !ok || key.Kind != poolkeeper.KindConfig && string(d.Data) != string(dataOf(key)) {
				t.Errorf("%s is %q", key, d.Data)
			}
		}
	}
}
