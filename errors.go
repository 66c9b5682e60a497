package poolkeeper

import (
	"context"
	"errors"
	"fmt"
)

// The closed set of errors. Decide with errors.Is; every error of a Store or a
// Backend is one of these, or a context error, which passes unwrapped.
var (
	// ErrInvalid: the input cannot be what it should be. Nothing was changed.
	ErrInvalid = errors.New("invalid input")
	// ErrTooLarge: the input exceeds a limit. Nothing was changed.
	ErrTooLarge = errors.New("too large")
	// ErrNotFound: the thing named is not in the store.
	ErrNotFound = errors.New("not found")
	// ErrExists: the thing named is already in the store.
	ErrExists = errors.New("already exists")
	// ErrConflict: the thing is not as the writer saw it (If-Match), or it
	// changed so often meanwhile that the op was given up. Nothing was changed.
	ErrConflict = errors.New("changed meanwhile")
	// ErrReused: the idempotency key was used for another op. Nothing was changed.
	ErrReused = errors.New("idempotency key used for something else")
	// ErrUnauthorized: no key, or a wrong one.
	ErrUnauthorized = errors.New("not authorised")
	// ErrForbidden: known, but not allowed to; or refused by the store's own rules.
	ErrForbidden = errors.New("not allowed")
	// ErrUninitialized: the store is reachable and empty.
	ErrUninitialized = errors.New("store is not initialised")
	// ErrForeign: the store holds keys in a layout that is not Poolkeeper's.
	ErrForeign = errors.New("store holds a foreign layout")
	// ErrUnavailable: the store is not reachable; the op was surely not applied.
	ErrUnavailable = errors.New("store unavailable")
	// ErrIndeterminate: the op was sent and no answer came; it may have been
	// applied, and if it was, then once.
	ErrIndeterminate = errors.New("outcome unknown")
	// ErrLost: the store no longer has what it had acknowledged to this instance.
	ErrLost = errors.New("store has lost acknowledged changes")
	// ErrDamaged: something stored is not what Poolkeeper wrote there.
	ErrDamaged = errors.New("stored data is damaged")
	// ErrDiffers: a comparison found differences.
	ErrDiffers = errors.New("differences found")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store is closed")
	// ErrInternal: a fault of Poolkeeper itself.
	ErrInternal = errors.New("internal error")
)

// An ErrorClass ties a sentinel to its code on the wire, its HTTP status and
// its exit code.
type ErrorClass struct {
	Err    error
	Code   string
	Status int
	Exit   int
}

// Exit codes of the command line.
const (
	ExitOK          = 0
	ExitRefused     = 1 // differences found, or the op was refused
	ExitUsage       = 2 // wrong use, or input that cannot be what it should be
	ExitUnavailable = 3 // the store is not reachable, or the outcome is unknown
	ExitInternal    = 4
	ExitInterrupted = 130
)

// classes is the one table. The first entry that matches decides.
var classes = []ErrorClass{
	{ErrInvalid, "invalid", 400, ExitUsage},
	{ErrTooLarge, "too-large", 413, ExitUsage},
	{ErrNotFound, "not-found", 404, ExitRefused},
	{ErrExists, "exists", 409, ExitRefused},
	{ErrConflict, "conflict", 412, ExitRefused},
	{ErrReused, "reused", 422, ExitRefused},
	{ErrUnauthorized, "unauthorized", 401, ExitRefused},
	{ErrForbidden, "forbidden", 403, ExitRefused},
	{ErrUninitialized, "uninitialized", 503, ExitUnavailable},
	{ErrForeign, "foreign", 503, ExitUnavailable},
	{ErrIndeterminate, "indeterminate", 504, ExitUnavailable},
	{ErrUnavailable, "unavailable", 503, ExitUnavailable},
	{ErrLost, "lost", 503, ExitUnavailable},
	{ErrDamaged, "damaged", 500, ExitRefused},
	{ErrDiffers, "differs", 409, ExitRefused},
	{ErrClosed, "closed", 503, ExitUnavailable},
	{context.Canceled, "cancelled", 499, ExitInterrupted},
	{context.DeadlineExceeded, "timeout", 504, ExitUnavailable},
	{ErrInternal, "internal", 500, ExitInternal},
}

// ErrorClasses returns a copy of the table of errors.
func ErrorClasses() []ErrorClass { return append([]ErrorClass(nil), classes...) }

// ClassOf finds the class of an error; what is in no class is [ErrInternal].
func ClassOf(err error) ErrorClass {
	for _, c := range classes {
		if errors.Is(err, c.Err) {
			return c
		}
	}
	return classes[len(classes)-1]
}

// ClassOfCode finds the class of a code from the wire.
func ClassOfCode(code string) (ErrorClass, bool) {
	for _, c := range classes {
		if c.Code == code {
			return c, true
		}
	}
	return ErrorClass{}, false
}

// An Error is a sentinel with detail for people: what was done, to what, what
// was wrong, and the way out. None of it holds a secret or the content of a
// document.
type Error struct {
	Action string // "patch provider"; may be empty
	Key    string // the thing, as Key or Ref print it; may be empty
	Detail string // what was wrong, in words; may be empty
	Hint   string // what to do about it; may be empty
	Err    error  // the sentinel, or an error that wraps one
}

// Error joins the parts that are there.
func (e *Error) Error() string {
	s := ""
	if e.Action != "" {
		s = e.Action
	}
	if e.Key != "" {
		if s != "" {
			s += " "
		}
		s += e.Key
	}
	if s != "" {
		s += ": "
	}
	if e.Detail != "" {
		s += e.Detail
	} else if e.Err != nil {
		s += e.Err.Error()
	}
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Unwrap returns the sentinel.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an [Error] of a sentinel and a detail.
func Errorf(sentinel error, format string, args ...any) *Error {
	return &Error{Err: sentinel, Detail: fmt.Sprintf(format, args...)}
}

// WithHint returns the error with a way out.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// Annotate adds what was done to what, where the error does not say it yet.
// Context errors and nil pass unchanged.
func Annotate(err error, action, key string) error {
	if err == nil || err == context.Canceled || err == context.DeadlineExceeded {
		return err
	}
	var e *Error
	if errors.As(err, &e) {
		c := *e
		if c.Action == "" {
			c.Action = action
		}
		if c.Key == "" {
			c.Key = key
		}
		return &c
	}
	return &Error{Action: action, Key: key, Detail: err.Error(), Err: err}
}

// HintOf returns the way out that an error names, if any.
func HintOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Hint
	}
	return ""
}
