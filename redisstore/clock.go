package redisstore

import (
	"context"
	"strconv"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/redis/rueidis"
)

// maxSkew is how far the local clock may be from that of Redis before times are
// converted, and the difference is shown. What is less than that is within what a
// measurement over a slow network errs by, and would only move times about.
const maxSkew = time.Second

// measureClock takes note of what the local clock lacks to that of Redis, from an
// answer of TIME and the moments around it: the answer is taken for one of the
// middle. A round trip that took long says nothing.
func (s *Store) measureClock(before time.Time, res rueidis.RedisResult, after time.Time) {
	parts, err := res.AsStrSlice()
	if err != nil || len(parts) != 2 || after.Sub(before) > maxSkew || after.Before(before) {
		return
	}
	sec, err1 := strconv.ParseInt(parts[0], 10, 64)
	us, err2 := strconv.ParseInt(parts[1], 10, 64)
	if err1 != nil || err2 != nil {
		return
	}
	skew := time.Unix(sec, us*1000).Sub(before.Add(after.Sub(before) / 2))
	s.skew.Store(skew.Milliseconds())
}

// askTime measures the clock.
func (s *Store) askTime(ctx context.Context) {
	before := s.opts.Now()
	res := s.client.Do(ctx, s.client.B().Time().Build())
	s.measureClock(before, res, s.opts.Now())
}

// redisNow is what time it is in Redis, about.
func (s *Store) redisNow() int64 { return s.opts.Now().UnixMilli() + s.skew.Load() }

// inRedisTime is a time at which something was decided here, by the clock of
// Redis: decisions of instances whose clocks differ are compared in that. One that
// is yet to come counts as now.
func (s *Store) inRedisTime(at int64) int64 {
	skew := s.skew.Load()
	if d := time.Duration(skew) * time.Millisecond; d.Abs() <= maxSkew {
		skew = 0
	}
	if now := s.redisNow(); at+skew > now+maxSkew.Milliseconds() {
		return now
	}
	return at + skew
}

// localTime is the time that inRedisTime makes this one of.
func (s *Store) localTime(at int64) int64 {
	if skew := s.skew.Load(); time.Duration(skew)*time.Millisecond > maxSkew || time.Duration(skew)*time.Millisecond < -maxSkew {
		return at - skew
	}
	return at
}

// clockSkew describes the difference of the clocks.
func (s *Store) clockSkew(info *poolkeeper.Info) {
	skew := time.Duration(s.skew.Load()) * time.Millisecond
	if skew.Abs() <= maxSkew {
		return
	}
	info.Details["clockSkew"] = skew.String()
	way := "behind"
	if skew < 0 {
		way = "ahead of"
	}
	info.Warnings = append(info.Warnings, "the clock of this machine is "+skew.Abs().String()+" "+way+" that of Redis: set it; until then times are converted")
}
