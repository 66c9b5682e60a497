package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// TestEvictingRedis: no store is begun in a Redis that may drop any key, by init or by
// import, and nothing is written there; of other policies that drop keys init warns.
func TestEvictingRedis(t *testing.T) {
	srv := redistest.Start(t)
	env := map[string]string{"HOME": t.TempDir(), "REDIS_URL": srv.URL(), "POOLKEEPER_CONFIG_DIR": fixtures(t) + "/typical/configs", "POOLKEEPER_LOG_FORMAT": "json"}
	for _, policy := range []string{"allkeys-lru", "allkeys-lfu", "allkeys-random"} {
		srv.ConfigSet("maxmemory-policy", policy)
		for _, args := range [][]string{{"init"}, {"import"}} {
			out, said := expect(t, env, poolkeeper.ExitRefused, "", args...)
			if !strings.Contains(said, "maxmemory-policy of this Redis is "+policy+",") || !strings.Contains(said, "\nhint: CONFIG SET maxmemory-policy noeviction, and the same in redis.conf\n") {
				t.Errorf("%s, %q: %s%s", policy, args, out, said)
			}
			if keys := srv.Keys("*"); len(keys) > 0 {
				t.Errorf("%s, %q leaves %q", policy, args, keys)
			}
		}
	}
	for _, policy := range []string{"volatile-lru", "volatile-ttl", "noeviction"} {
		srv.FlushAll()
		srv.ConfigSet("maxmemory-policy", policy)
		warning := "maxmemory-policy is " + policy + ": Redis may drop keys; set it to noeviction"
		for _, args := range [][]string{{"init"}, {"status"}} {
			out, said := expect(t, env, poolkeeper.ExitOK, "", args...)
			if warned := strings.Contains(said, warning); warned != (policy != "noeviction") {
				t.Errorf("%s, %q says %s", policy, args, said)
			}
			if shown := strings.Contains(out, warning); args[0] == "status" && shown != (policy != "noeviction") {
				t.Errorf("%s, status shows %s", policy, out)
			}
		}
	}
}

// TestStoreOfANewerVersion: a store whose minWriter is newer is read by the commands
// that read, and refused by those that write, which leave it as it is.
func TestStoreOfANewerVersion(t *testing.T) {
	srv := redistest.Start(t)
	env := map[string]string{"HOME": t.TempDir(), "REDIS_URL": srv.URL(), "REDIS_KEY_PREFIX": "n:", "POOLKEEPER_CONFIG_DIR": fixtures(t) + "/typical/configs"}
	expect(t, env, poolkeeper.ExitOK, "", "import")
	srv.DoInt("HSET", "n:meta", "schema", "2", "minWriter", "2")
	before := srv.Dump()
	for _, args := range [][]string{
		{"provider", "list"}, {"provider", "get", besideType, besideID}, {"token", "get", besideType, besideID}, {"config", "get"}, {"doc", "list"}, {"verify"},
		{"export", "--output-dir", t.TempDir() + "/configs"},
	} {
		expect(t, env, poolkeeper.ExitOK, "", args...)
	}
	for _, args := range [][]string{
		{"usage", besideType, besideID}, {"error", besideType, besideID}, {"provider", "disable", besideType, besideID}, {"provider", "rm", besideType, besideID},
		{"config", "set", "MAX_ERROR_COUNT=3"}, {"token", "rm", besideType, besideID}, {"password", "set"}, {"import", "--force", "--config-dir", fixtures(t) + "/typical-jan2026/configs"}, {"init"},
	} {
		_, said := expect(t, env, poolkeeper.ExitRefused, "a-new-password\n", args...)
		if args[0] != "init" && (!strings.Contains(said, "the store was written by a newer version, which asks older ones not to write\nhint: ")) {
			t.Errorf("%q says %s", args, said)
		}
	}
	out, said := expect(t, env, poolkeeper.ExitRefused, "", "status")
	if !strings.Contains(out, "ready") || !strings.Contains(out+said, "newer version") {
		t.Errorf("status: %s%s", out, said)
	}
	if diff := cmp.Diff(before, srv.Dump()); diff != "" {
		t.Errorf("something was written:\n%s", diff)
	}
}
