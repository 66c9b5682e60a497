package redistest

import (
	"context"
	"fmt"
	"os"
)

// CutOff cuts a replica off its master until [Server.Rejoin]: it answers, and keeps
// what it has, and whoever watches it still takes it for a replica of that master.
func (s *Server) CutOff() {
	s.fail.helper()
	// It logs in with each attempt, and cannot.
	s.ConfigSet("masterauth", "of another one")
	s.must("CLIENT", "KILL", "TYPE", "master")
	s.within(func(ctx context.Context) error {
		return poll(ctx, "the replica still has a link to its master", func() bool {
			info, err := s.info("replication")
			return err == nil && info["master_link_status"] == "down"
		})
	})
}

// Rejoin lets a server that was cut off follow a master again, whichever that is by
// then.
func (s *Server) Rejoin() {
	s.fail.helper()
	s.ConfigSet("masterauth", adminPassword())
	s.must("CONFIG", "REWRITE") // Sentinel may have had the other one written
}

// Configure adds a line to redis.conf, for the next start.
func (s *Server) Configure(key, value string) {
	s.fail.helper()
	f, err := os.OpenFile(s.confFile(), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = fmt.Fprintf(f, "\n%s %s\n", key, value)
		if e := f.Close(); err == nil {
			err = e
		}
	}
	if err != nil {
		s.fail.fatalf("%v", err)
	}
}

// WaitSynced waits until a replica has the data of its master and follows it.
func (s *Server) WaitSynced(master *Server) {
	s.fail.helper()
	s.within(func(ctx context.Context) error { return s.waitSynced(ctx, master) })
}

// within fails the test where f does in the time that a start may take.
func (s *Server) within(f func(context.Context) error) {
	s.fail.helper()
	d, err := startTimeout()
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), d)
		defer cancel()
		err = f(ctx)
	}
	if err != nil {
		s.fail.fatalf("%v", err)
	}
}
