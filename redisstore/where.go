package redisstore

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/poolkeeper/poolkeeper"
)

// Where names the server for people: its addresses, and no user nor password.
func (s *Store) Where() string {
	where := "Redis at " + strings.Join(s.target.option.InitAddress, ",")
	if m := s.target.option.Sentinel.MasterSet; m != "" {
		where = "Redis " + m + " of the sentinels at " + strings.Join(s.target.option.InitAddress, ",")
	}
	return where
}

// lookError is readError, and names the server where that has not answered in time: the
// error itself says no more than that, or the port that it was on the way to.
func (s *Store) lookError(err error) error {
	var n net.Error
	if f := classify(err); f != nil && f.sent && (errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()) {
		return poolkeeper.Errorf(poolkeeper.ErrUnavailable, "%s did not answer within %v", s.Where(), s.opts.CommandTimeout)
	}
	return readError(err)
}
