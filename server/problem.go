package server

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/poolkeeper/poolkeeper"
)

// A problem is the body of every answer that is an error, as RFC 9457 has it.
type problem struct {
	Type   string       `json:"type" format:"uri" doc:"urn:poolkeeper:problem: and the code"`
	Title  string       `json:"title" doc:"what the code means"`
	Status int          `json:"status" doc:"the HTTP status"`
	Code   string       `json:"code" doc:"what to decide by"`
	Detail string       `json:"detail" doc:"what was wrong with what"`
	Hint   string       `json:"hint,omitempty" doc:"the way out"`
	Errors []fieldFault `json:"errors,omitempty" doc:"the fields of the body that are at fault"`
}

// A fieldFault names one field of a body.
type fieldFault struct {
	Pointer string `json:"pointer" doc:"a JSON Pointer into the body, after #"`
	Detail  string `json:"detail" doc:"what is wrong with the field"`
}

// A refusal is an error that HTTP says more exactly than its class does: by a
// status of its own, or by the fields at fault.
type refusal struct {
	error
	status int
	fields []fieldFault
}

func (e *refusal) Unwrap() error { return e.error }

// refuse makes an ErrInvalid with a status of HTTP's own.
func refuse(status int, hint, format string, args ...any) error {
	err := poolkeeper.Errorf(poolkeeper.ErrInvalid, format, args...)
	if hint != "" {
		err = err.WithHint("%s", hint)
	}
	return &refusal{error: err, status: status}
}

// problemOf describes an error for the client. Of a fault of our own it says no
// more than that there is one; the log has the rest.
func problemOf(err error) problem {
	class := poolkeeper.ClassOf(err)
	p := problem{
		Type:   "urn:poolkeeper:problem:" + class.Code,
		Title:  class.Err.Error(),
		Status: class.Status,
		Code:   class.Code,
		Detail: class.Err.Error(),
	}
	var e *poolkeeper.Error
	if class.Err != poolkeeper.ErrInternal && errors.As(err, &e) {
		bare := *e
		bare.Hint = ""
		p.Detail, p.Hint = bare.Error(), e.Hint
	}
	var r *refusal
	if errors.As(err, &r) {
		p.Errors = r.fields
		if r.status != 0 {
			p.Status, p.Title = r.status, http.StatusText(r.status)
		}
	}
	return p
}

// encode never fails: a problem is made of strings and a number.
func (p problem) encode() []byte {
	b, _ := json.Marshal(p)
	return append(b, '\n')
}
