package configdir_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
)

func TestDifferences(t *testing.T) {
	a, b := poolkeeper.Ref{Type: "t", ID: "a"}, poolkeeper.Ref{Type: "t", ID: "b"}
	values := map[poolkeeper.Key]string{
		poolkeeper.TokenKey(a):                             `{"accessToken":"SECRET","n":{"x":1}}`,
		poolkeeper.TokenRefKey("configs/a.json"):           string(poolkeeper.EncodeTokenOwner(a)),
		poolkeeper.ConfigKey:                               `{"redis":{"password":"SECRET"}}`,
		poolkeeper.PasswordKey:                             "SECRET",
		poolkeeper.DocumentKey("api-potluck-keys.json"):    `{"keys":{"SECRET":{"n":1}}}`,
		poolkeeper.FileKey("configs/f"):                    `{"SECRET":1}`,
		poolkeeper.SessionKey(poolkeeper.SessionName("s")): string(poolkeeper.EncodeSession("s", []byte(`{"u":"SECRET"}`))),
	}
	const pools = `{"t":[{"uuid":"a","A_TOKEN_FILE_PATH":"configs/a.json","k/~":{"SECRET-no":[1,2]},"usageCount":1,"isHealthy":true},{"uuid":"b"}],"u":[]}`
	for name, c := range map[string]struct {
		pools  string
		change map[poolkeeper.Key]string // "" deletes
		want   []string
	}{
		"same":                {want: nil},
		"white space":         {pools: strings.NewReplacer(",", " ,\n", ":", " : ").Replace(pools)},
		"runtime apart":       {pools: `{"t":[{"isHealthy":true,"uuid":"a","usageCount":1,"A_TOKEN_FILE_PATH":"configs/a.json","k/~":{"SECRET-no":[1,2]}},{"uuid":"b"}],"u":[]}`},
		"number literal":      {pools: strings.Replace(pools, "[1,2]", "[1,2.0]", 1), want: []string{"t a at /k~1~0/SECRET-no/1: differs"}},
		"key order":           {pools: strings.Replace(pools, `"uuid":"a","A_TOKEN_FILE_PATH":"configs/a.json"`, `"A_TOKEN_FILE_PATH":"configs/a.json","uuid":"a"`, 1), want: []string{"t a at /uuid: differs"}},
		"counter":             {pools: strings.Replace(pools, `"usageCount":1`, `"usageCount":2`, 1), want: []string{"t a at /usageCount: differs"}},
		"counter gone":        {pools: strings.Replace(pools, `"usageCount":1,`, ``, 1), want: []string{"t a at /usageCount: differs"}},
		"health":              {pools: strings.Replace(pools, `"isHealthy":true`, `"isHealthy":false`, 1), want: []string{"t a at /isHealthy: differs"}},
		"provider gone":       {pools: strings.Replace(pools, `,{"uuid":"b"}`, ``, 1), want: []string{"t b: missing in store"}},
		"provider added":      {pools: strings.Replace(pools, `,{"uuid":"b"}`, `,{"uuid":"b"},{"uuid":"c"}`, 1), want: []string{"t c: only in store"}},
		"provider order":      {pools: strings.Replace(strings.Replace(pools, `,{"uuid":"b"}`, ``, 1), `{"t":[`, `{"t":[{"uuid":"b"},`, 1), want: []string{"pool t at order: differs"}},
		"pool gone":           {pools: strings.Replace(pools, `,"u":[]`, ``, 1), want: []string{"pool u: missing in store"}},
		"pool added":          {pools: strings.Replace(pools, `,"u":[]`, `,"u":[],"":[]`, 1), want: []string{`pool "": only in store`}},
		"types in order":      {pools: `{"u":[],` + strings.TrimSuffix(pools[1:], `,"u":[]}`) + `}`, want: []string{"types at order: differs"}},
		"token":               {change: map[poolkeeper.Key]string{poolkeeper.TokenKey(a): `{"accessToken":"SECRET","n":{"x":2}}`}, want: []string{"token t a (configs/a.json) at /n/x: differs"}},
		"token gone":          {change: map[poolkeeper.Key]string{poolkeeper.TokenKey(a): ""}, want: []string{"token t a (configs/a.json): missing in store"}},
		"token of another":    {change: map[poolkeeper.Key]string{poolkeeper.TokenKey(a): "", poolkeeper.TokenKey(b): values[poolkeeper.TokenKey(a)], poolkeeper.TokenRefKey("configs/a.json"): string(poolkeeper.EncodeTokenOwner(b))}},
		"config":              {change: map[poolkeeper.Key]string{poolkeeper.ConfigKey: `{"redis":{"password":"SECRET2"}}`}, want: []string{"config (configs/config.json) at /redis/password: differs"}},
		"config white space":  {change: map[poolkeeper.Key]string{poolkeeper.ConfigKey: `{"redis":{"password":"SECRET"} }`}, want: []string{"config (configs/config.json) at byte 30: differs"}},
		"password":            {change: map[poolkeeper.Key]string{poolkeeper.PasswordKey: "SECRET2"}, want: []string{"password (configs/pwd): differs"}},
		"password gone":       {change: map[poolkeeper.Key]string{poolkeeper.PasswordKey: ""}, want: []string{"password (configs/pwd): missing in store"}},
		"keys in a document":  {change: map[poolkeeper.Key]string{poolkeeper.DocumentKey("api-potluck-keys.json"): `{"keys":{"SECRET":{"n":2}}}`}, want: []string{"document api-potluck-keys.json (configs/api-potluck-keys.json) at /keys/…: differs"}},
		"file":                {change: map[poolkeeper.Key]string{poolkeeper.FileKey("configs/f"): `{"SECRET":2}`}, want: []string{"file configs/f at byte 10: differs"}},
		"session":             {change: map[poolkeeper.Key]string{poolkeeper.SessionKey(poolkeeper.SessionName("s")): string(poolkeeper.EncodeSession("s", []byte(`{"u":"SECRET2"}`)))}, want: []string{"session " + poolkeeper.SessionName("s") + ": differs"}},
		"another document":    {change: map[poolkeeper.Key]string{poolkeeper.FileKey("configs/f"): "", poolkeeper.DocumentKey("f"): `{"SECRET":1}`}},
		"one more path":       {change: map[poolkeeper.Key]string{poolkeeper.TokenRefKey("configs/z.json"): string(poolkeeper.EncodeTokenOwner(a))}, want: []string{"token t a (configs/z.json): only in store"}},
		"path without effect": {change: map[poolkeeper.Key]string{poolkeeper.TokenRefKey("configs/none.json"): string(poolkeeper.EncodeTokenOwner(b))}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.pools == "" {
				c.pools = pools
			}
			dir, store := snapshotOf(t, pools, values), snapshotOf(t, c.pools, values)
			for k, v := range c.change {
				if store.Values[k] = (poolkeeper.Document{Data: []byte(v)}); v == "" {
					delete(store.Values, k)
				}
			}
			got, err := configdir.CompareSnapshots(dir, store, nil)
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, d := range got.Differences {
				lines = append(lines, d.String())
			}
			if !slices.Equal(lines, c.want) {
				t.Errorf("got  %q\nwant %q", lines, c.want)
			}
			if err := got.Err(); (err != nil) != (len(c.want) > 0) || err != nil && (!errors.Is(err, poolkeeper.ErrDiffers) || strings.Contains(strings.ReplaceAll(err.Error(), "SECRET-no", ""), "SECRET")) {
				t.Errorf("error %v", err)
			}
			// Runtime state is no content.
			content, err := configdir.CompareSnapshots(dir, store, &configdir.CompareOptions{ContentOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			runtime := strings.HasPrefix(name, "counter") || name == "health"
			if content.Equal() != (runtime || len(c.want) == 0) {
				t.Errorf("content: %v", content.Differences)
			}
		})
	}
}

// TestState compares states that are laid over definitions.
func TestState(t *testing.T) {
	a, b := snapshotOf(t, `{"t":[{"uuid":"a","usageCount":1}]}`, nil), snapshotOf(t, `{"t":[{"uuid":"a","usageCount":7}]}`, nil)
	b.Pools["t"].Providers[0].State.Set(poolkeeper.UsageCount, "1")
	if c, err := configdir.CompareSnapshots(a, b, nil); err != nil || !c.Equal() {
		t.Errorf("%v %v", c, err)
	}
	for _, f := range poolkeeper.Fields() {
		other := snapshotOf(t, `{"t":[{"uuid":"a","usageCount":1}]}`, nil)
		other.Pools["t"].Providers[0].State.Set(f, "12")
		if c, err := configdir.CompareSnapshots(a, other, nil); err != nil || len(c.Differences) != 1 || c.Differences[0].Where != "/"+f.String() {
			t.Errorf("%s: %v %v", f, c, err)
		}
	}
	b.Pools["t"].Providers[0].State.Set(poolkeeper.UsageCount, poolkeeper.Absent)
	if c, err := configdir.CompareSnapshots(a, b, nil); err != nil || len(c.Differences) != 1 {
		t.Errorf("%v %v", c, err)
	}
	out, _ := write(t, b)
	if got := dirtest.Tree(t, out)["provider_pools.json"]; bytes.Contains([]byte(got), []byte("usageCount")) {
		t.Errorf("an absent field was written: %s", got)
	}
}
