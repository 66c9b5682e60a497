package redistest

import (
	"context"
	"errors"
	"time"
)

// Kill ends the server with SIGKILL and waits for its end. Data that no
// append-only file has is lost. It does nothing on a server that is down.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kill()
}

func (s *Server) kill() {
	s.proc.kill()
	s.client.drop()
}

// Stop ends the server in order, with SIGTERM, and waits for its end. It does
// nothing on a server that is down.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proc.stop()
	s.client.drop()
}

// Running reports whether the process is there, paused or not.
func (s *Server) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.proc.exited()
}

// Pause stops the server with SIGSTOP: connections stay open and the kernel
// still accepts new ones, but nothing is answered until [Server.Resume].
func (s *Server) Pause() { s.signal("pause", true) }

// Resume lets a paused server go on (SIGCONT).
func (s *Server) Resume() { s.signal("resume", false) }

func (s *Server) signal(what string, pause bool) {
	s.fail.helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	f := signalResume
	if pause {
		f = signalPause
	}
	if err := f(s.proc.cmd.Process); err != nil {
		s.fail.fatalf("%s %s: %v", what, s.Addr(), err)
	}
}

// Restart starts the server again on the same port, socket and directory, and
// waits until it answers. One that still runs is killed before.
func (s *Server) Restart() {
	s.fail.helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kill()
	d, err := startTimeout()
	if err != nil {
		s.fail.fatalf("%v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	for {
		// Somebody may sit on the port for a moment.
		err := s.launch(ctx)
		if err == nil {
			return
		}
		if !errors.Is(err, errExited) || ctx.Err() != nil {
			s.fail.fatalf("restart %s: %v\n%s", s.Addr(), err, s.Log())
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}
