package poolkeeper

import (
	"bytes"
	"encoding/json"
	"errors"
)

// encodedResult is how a [Result] is written.
type encodedResult struct {
	Status   Status        `json:"status,omitempty"`
	Revision string        `json:"revision,omitempty"`
	ID       string        `json:"id,omitempty"`
	Count    int64         `json:"count,omitempty"`
	Healthy  bool          `json:"healthy,omitempty"`
	Changed  bool          `json:"changed,omitempty"`
	Error    *encodedError `json:"error,omitempty"`
}

type encodedError struct {
	Code   string `json:"code"`
	Action string `json:"action,omitempty"`
	Key    string `json:"key,omitempty"`
	Detail string `json:"detail,omitempty"`
	Hint   string `json:"hint,omitempty"`
}

// MarshalJSON writes the result in its one encoding. Of an error it writes the
// code and the text; of a fault of Poolkeeper itself only that there was one.
func (r Result) MarshalJSON() ([]byte, error) {
	if r.Err == nil {
		return json.Marshal(encodedResult{Status: r.Status, Revision: r.Revision.String(), ID: r.ID,
			Count: r.Count, Healthy: r.Healthy, Changed: r.Changed})
	}
	class := ClassOf(r.Err)
	out := &encodedError{Code: class.Code}
	var e *Error
	if class.Err != ErrInternal && errors.As(r.Err, &e) {
		out.Action, out.Key, out.Detail, out.Hint = e.Action, e.Key, e.Detail, e.Hint
	}
	return json.Marshal(encodedResult{Error: out})
}

// UnmarshalJSON reads what MarshalJSON wrote, strictly. The error is of the class
// that its code names; one of a code that is not known is [ErrInternal].
func (r *Result) UnmarshalJSON(data []byte) error {
	var in encodedResult
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return err
	}
	if in.Error != nil {
		*r = Result{Err: in.Error.err()}
		return nil
	}
	rev, err := ParseRevision(in.Revision)
	*r = Result{Status: in.Status, Revision: rev, ID: in.ID, Count: in.Count, Healthy: in.Healthy, Changed: in.Changed}
	return err
}

func (e *encodedError) err() error {
	class, ok := ClassOfCode(e.Code)
	if !ok {
		return Errorf(ErrInternal, "an error of the unknown code %q: %s", e.Code, e.Detail)
	}
	if e.Action == "" && e.Key == "" && e.Detail == "" && e.Hint == "" {
		return class.Err
	}
	return &Error{Action: e.Action, Key: e.Key, Detail: e.Detail, Hint: e.Hint, Err: class.Err}
}
