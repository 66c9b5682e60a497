package redisstore

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

func TestTarget(t *testing.T) {
	for _, c := range []struct {
		url       string
		opts      Options
		text      string // for people
		addresses string
		user      string
		db        int
		master    string
		cluster   bool
		tls       bool
	}{
		{url: "redis://h", text: "redis://h:6379", addresses: "h:6379"},
		{url: "redis://h:1/", text: "redis://h:1", addresses: "h:1"},
		{url: "redis://h:1/3", text: "redis://h:1/3", addresses: "h:1", db: 3},
		{url: "redis://h:1?db=3", text: "redis://h:1/3", addresses: "h:1", db: 3},
		{url: "redis://h:1", opts: Options{DB: 2}, text: "redis://h:1/2", addresses: "h:1", db: 2},
		{url: "redis://[::1]", text: "redis://[::1]:6379", addresses: "[::1]:6379"},
		{url: "redis://[::1]:7", text: "redis://[::1]:7", addresses: "[::1]:7"},
		{url: "redis://u:s3cret@h", text: "redis://h:6379", addresses: "h:6379", user: "u:s3cret"},
		{url: "redis://:s3cret@h", text: "redis://h:6379", addresses: "h:6379", user: ":s3cret"},
		{url: "redis://u:s3%40%2F%3Acret@h", text: "redis://h:6379", addresses: "h:6379", user: "u:s3@/:cret"},
		{url: "redis://u:s3@cret@h", text: "redis://h:6379", addresses: "h:6379", user: "u:s3@cret"},
		{url: "redis://h", opts: Options{Username: "u", Password: "s3cret"}, text: "redis://h:6379", addresses: "h:6379", user: "u:s3cret"},
		{url: "rediss://h", text: "rediss://h:6379", addresses: "h:6379", tls: true},
		{url: "unix:///run/r.sock", text: "unix:///run/r.sock", addresses: "/run/r.sock"},
		{url: "unix:///run/r.sock?db=4", text: "unix:///run/r.sock/4", addresses: "/run/r.sock", db: 4},
		{url: "unix://:s3cret@/run/r.sock", text: "unix:///run/r.sock", addresses: "/run/r.sock", user: ":s3cret"},
		{url: "redis://a:1,b:2/5?master=m", text: "redis://a:1,b:2/5", addresses: "a:1 b:2", db: 5, master: "m"},
		{url: "redis://a:1?addr=b:2&master_set=m", text: "redis://a:1,b:2", addresses: "a:1 b:2", master: "m"},
		{url: "redis://a:1?cluster=true", text: "redis://a:1?cluster=true", addresses: "a:1", cluster: true},
		{url: "redis://a:1?addr=b:2&cluster=true", text: "redis://a:1,b:2?cluster=true", addresses: "a:1 b:2", cluster: true},
		{url: "redis://a:1,b?cluster=true", text: "redis://a:1,b:6379?cluster=true", addresses: "a:1 b:6379", cluster: true},
		{url: "redis://a:1?cluster=false", text: "redis://a:1", addresses: "a:1"},
	} {
		c.opts.ConnectTimeout = time.Second
		got, err := parseTarget(c.url, &c.opts)
		if err != nil {
			t.Errorf("%s: %v", c.url, err)
			continue
		}
		o := got.option
		user := ""
		if o.Username+o.Password != "" {
			user = o.Username + ":" + o.Password
		}
		for what, pair := range map[string][2]string{
			"text":      {got.text, c.text},
			"addresses": {strings.Join(o.InitAddress, " "), c.addresses},
			"user":      {user, c.user},
			"database":  {fmt.Sprint(o.SelectDB), fmt.Sprint(c.db)},
			"master":    {o.Sentinel.MasterSet, c.master},
			"cluster":   {fmt.Sprint(!o.ForceSingleClient), fmt.Sprint(c.cluster)},
			"TLS":       {fmt.Sprint(o.TLSConfig != nil), fmt.Sprint(c.tls)},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%s: %s %q, want %q", c.url, what, pair[0], pair[1])
			}
		}
	}
}

// The secrets in these are written as operators write them who do not know
// that a URL has characters of its own.
func TestTargetRefuses(t *testing.T) {
	for _, url := range []string{
		"", "h:6379", "s3cret", "http://u:s3cret@h", "redis://", "redis:///0", "redis://h:port", "redis://h:0", "redis://h:65536",
		"redis://h/x", "redis://h/1/2", "redis://h/-1", "redis://h/1?db=1", "redis://h?db=x", "redis://h?what=1", "redis://h?cluster=1",
		"redis://a,b", "redis://a?master=m&cluster=true", "redis://a/1?cluster=true", "redis://h?addr=b",
		"unix://h/run/r.sock", "unix://", "unix:///", "unix:///run/r.sock?addr=a:1",
		"redis://u:s3/cret@h:6379", "redis://u:s3?cret@h:6379", "redis://u:s3#cret@h:6379", "redis://u:s3%cret@h:6379",
		"redis://:s3/cret@h", "redis://s3cret/@h", "redis://h?addr=u:s3cret@b:1", "redis://h?addr=s3cret@b:1&cluster=true",
		"redis://u:s3cret@h:6379/s3cret", "redis://u:s3cret@h?cluster=s3cret",
	} {
		_, err := parseTarget(url, &Options{})
		if !errors.Is(err, poolkeeper.ErrInvalid) {
			t.Errorf("%s: error %v, want ErrInvalid", url, err)
			continue
		}
		if strings.Contains(err.Error(), "s3") {
			t.Errorf("%s: the error repeats the secret: %v", url, err)
		}
	}
	for _, at := range []string{"redis://h", "redis://h?cluster=true", "unix:///run/r.sock"} {
		if _, err := parseTarget(at, &Options{SentinelPassword: "s3cret"}); !errors.Is(err, poolkeeper.ErrInvalid) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s, with credentials for Sentinel: %v", at, err)
		}
	}
	if _, err := parseTarget("redis://u:s3cret@h", &Options{Password: "s3cret"}); !errors.Is(err, poolkeeper.ErrInvalid) || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("credentials twice: %v", err)
	}
}

// TestWhere: a server is named for people by its addresses, without what lets one in.
func TestWhere(t *testing.T) {
	for at, want := range map[string]string{
		"redis://user:s3cret@h:1/2":                   "Redis at h:1",
		"rediss://:s3cret@[::1]?db=3":                 "Redis at [::1]:6379",
		"unix:///run/r.sock":                          "Redis at /run/r.sock",
		"redis://user:s3cret@a:1,b:2?master=mymaster": "Redis mymaster of the sentinels at a:1,b:2",
		"redis://user:s3cret@a:1,b:2?cluster=true":    "Redis at a:1,b:2",
	} {
		found, err := parseTarget(at, &Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := (&Store{target: found}).Where(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []*Options{{Prefix: "a b"}, {Prefix: "a*"}, {Prefix: "a{b}"}, {Prefix: strings.Repeat("a", 65)}, {RetryFor: -1}, {CommandTimeout: -1}, {ConnectTimeout: -1}} {
		if _, err := Open(t.Context(), "redis://h", o); !errors.Is(err, poolkeeper.ErrInvalid) {
			t.Errorf("%+v: error %v, want ErrInvalid", o, err)
		}
	}
}
