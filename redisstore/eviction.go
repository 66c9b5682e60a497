package redisstore

import (
	"context"
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/redis/rueidis"
)

// keepsAll is the one policy by which Redis drops nothing.
const keepsAll = "noeviction"

// policyOf is the maxmemory-policy of a server, empty where it does not say.
func policyOf(ctx context.Context, c rueidis.Client) string {
	said, err := c.Do(ctx, c.B().ConfigGet().Parameter("maxmemory-policy").Build()).AsStrMap()
	if err != nil {
		return ""
	}
	return said["maxmemory-policy"]
}

// evictionWarning is what to say of a policy; empty where all is well, or unknown.
func evictionWarning(policy string) string {
	if policy == "" || policy == keepsAll {
		return ""
	}
	return "maxmemory-policy is " + policy + ": Redis may drop keys; set it to " + keepsAll
}

// mayBegin refuses to put a store where any of its keys may be dropped: on no
// server of a Cluster may they. One that does not say is taken as it is.
func (s *Store) mayBegin(ctx context.Context) error {
	for _, node := range s.client.Nodes() {
		if p := policyOf(ctx, node); strings.HasPrefix(p, "allkeys-") {
			return poolkeeper.Errorf(poolkeeper.ErrForbidden, "maxmemory-policy of this Redis is %s, by which it drops any key when it is full: no store is put there", p).
				WithHint("CONFIG SET maxmemory-policy %s, and the same in redis.conf", keepsAll)
		}
	}
	return nil
}
