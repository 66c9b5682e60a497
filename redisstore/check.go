package redisstore

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/redis/rueidis"
)

// checkEvery is how often the store is asked who it is where nothing gives reason
// to: a server that became a replica and the primary again keeps its connections.
const checkEvery = 5 * time.Second

// checkPause is the least time between two of them.
const checkPause = 100 * time.Millisecond

// suspect has the store asked soon whether it is still the server that it was.
func (s *Store) suspect() {
	select {
	case s.suspected <- struct{}{}:
	default:
	}
}

// watchOver makes sure, after each reconnect and now and then, that the store is
// the server that it was. Where it may be another one, or have started anew, all
// lanes that were used lately are compared with it. Only then is what is old given
// up of the tail: what Redis has lost may have been acknowledged long before it is
// there again.
func (s *Store) watchOver(known string) {
	wait := checkEvery
	for {
		timer := time.NewTimer(wait)
		select {
		case <-s.life.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-s.suspected:
			timer.Stop()
			select { // the connections of a pool are made at once
			case <-time.After(checkPause):
			case <-s.life.Done():
				return
			}
		}
		ctx, cancel := context.WithTimeout(s.life, 10*s.opts.CommandTimeout)
		began := s.redisNow()
		id, err := s.identity(ctx)
		wait = checkEvery
		switch {
		case err != nil:
			wait = 2 * checkPause
		case id == "" || id != known:
			if known != "" && id != "" {
				s.opts.Logger.Debug("Redis is another server than before, or has started anew: what was used lately is compared", "redis", s.target.text)
			}
			if s.checkAll(ctx) {
				known = id
			} else {
				wait = 2 * checkPause
			}
		default:
			s.trim(began - s.opts.TailTime.Milliseconds())
		}
		cancel()
	}
}

// identity is who the primaries are: another one has another text, and so has one
// that was started anew, or was a replica meanwhile. Empty where they do not say.
func (s *Store) identity(ctx context.Context) (string, error) {
	nodes := map[string]rueidis.Client{"": s.client}
	if s.cluster {
		var err error
		if nodes, err = s.primaries(ctx); err != nil {
			return "", err
		}
	}
	var all []string
	for address, node := range nodes {
		before := s.opts.Now()
		rs := node.DoMulti(ctx, node.B().Time().Build(), node.B().Info().Section("server").Build(), node.B().Info().Section("replication").Build())
		s.measureClock(before, rs[0], s.opts.Now())
		server, err := rs[1].ToString()
		if err == nil {
			var replication string
			replication, err = rs[2].ToString()
			server += "\r\n" + replication
		}
		if f := classify(err); f != nil {
			if f.sent || f.again {
				return "", readError(err)
			}
			return "", nil // it may not be asked
		}
		all = append(all, address+" "+infoField(server, "run_id")+" "+infoField(server, "master_replid"))
	}
	slices.Sort(all)
	return strings.Join(all, ","), nil
}

func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// checkAll compares all lanes that were used lately with what Redis has; false
// where one could not be.
func (s *Store) checkAll(ctx context.Context) bool {
	ok := true
	var mu sync.Mutex
	var wg sync.WaitGroup
	tokens := make(chan struct{}, maxParallel)
	s.lanes.Range(func(_, v any) bool {
		l := v.(*lane)
		l.mu.Lock()
		used := len(l.tail.stretches) > 0
		l.mu.Unlock()
		if !used || ctx.Err() != nil {
			return true
		}
		tokens <- struct{}{}
		wg.Go(func() {
			defer func() { <-tokens }()
			if err := s.checkLane(ctx, l); err != nil && poolkeeper.ClassOf(err).Err != poolkeeper.ErrLost {
				mu.Lock()
				defer mu.Unlock()
				ok = false
			}
		})
		return true
	})
	wg.Wait()
	return ok && ctx.Err() == nil
}

// checkLane compares one lane with what Redis has, and mends it.
func (s *Store) checkLane(ctx context.Context, l *lane) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	c := newCall(checkBatch, nil, 0)
	c.bare = true
	return l.submit(ctx, c).result.Err
}

// checkSoon mends a lane that is behind where nobody waits for that.
func (s *Store) checkSoon(l *lane) {
	if s.enter() != nil {
		return
	}
	go func() {
		defer s.leave()
		c := newCall(checkBatch, nil, 0)
		c.bare = true
		l.submit(s.life, c)
	}()
}

// endedWriter stands for the sequence of a writer that was ended (turn.lua): what is
// here of it stands in the place of the results.
const endedWriter = "9007199254740991"

// lastSequence reads which batch of a writer is the last one, from what Redis
// remembers of it: "<sequence> <time> <revision>;<results>".
func lastSequence(text string) (uint64, error) {
	seq, rest, _ := strings.Cut(text, " ")
	if seq == endedWriter {
		_, seq, _ = strings.Cut(rest, ";")
	}
	return strconv.ParseUint(seq, 10, 64)
}

// look compares what was acknowledged with what Redis has. Nothing else of the lane
// is in flight.
func (w *work) look() *failure {
	epoch, err := w.s.ready(context.Background())
	if err != nil {
		return &failure{err: err, again: isOutage(err)}
	}
	w.mu.Lock()
	accounts := slices.Clone(w.tail.accounts)
	fields, last := []string{metaEpoch}, make([]uint64, len(accounts))
	for i, a := range accounts {
		fields = append(fields, "w:"+a.writer)
		if w.s.redisNow()-a.used <= laneIdle.Milliseconds() { // Redis may have forgotten it
			last[i] = a.last
		}
	}
	w.mu.Unlock()
	got, err := w.s.client.Do(context.Background(), w.s.client.B().Hmget().Key(w.s.ctl(w.key)).Field(fields...).Build()).ToArray()
	if f := classify(err); f != nil {
		f.sent, f.err = false, readError(err)
		return f
	}
	if e := textOr(got[0], ""); e != "" && e != epoch {
		return &failure{err: errEpoch}
	}
	for i := range accounts {
		if n, err := lastSequence(textOr(got[i+1], "0")); err != nil || n < last[i] {
			w.repair.CompareAndSwap(nil, &repair{})
			return nil
		}
	}
	for _, i := range w.open {
		w.batch.calls[i].answerText("ok", poolkeeper.Revision{})
	}
	w.open = nil
	return nil
}
