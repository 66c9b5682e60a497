package main

import (
	"errors"
	"io"
	"io/fs"
	"syscall"

	"github.com/poolkeeper/poolkeeper"
)

// A stdout is where results go. It keeps the first failure, as not all who write there
// look at it.
type stdout struct {
	w      io.Writer
	failed error
}

func (s *stdout) Write(b []byte) (int, error) {
	if s.failed != nil {
		return 0, s.failed
	}
	n, err := s.w.Write(b)
	if err != nil {
		s.failed = &unwritten{err}
	}
	return n, s.failed
}

// An unwritten is the error of a result that could not be written. The outcome is
// unknown only to who reads it: what the command was to do is done.
type unwritten struct{ cause error }

func (e *unwritten) Error() string {
	why := e.cause
	var pe *fs.PathError
	if errors.As(why, &pe) {
		why = pe.Err
	}
	return "the result cannot be written to standard output: " + why.Error()
}

func (e *unwritten) Unwrap() []error { return []error{poolkeeper.ErrIndeterminate, e.cause} }

// readerGone reports whether nobody reads the results any more, as behind | head: that is
// no error to speak of.
func readerGone(err error) bool {
	var u *unwritten
	return errors.As(err, &u) && errors.Is(u.cause, syscall.EPIPE)
}
