package poolkeeper

import "encoding/json"

// encodedChange is how a change is written: its revisions as texts.
type encodedChange struct {
	plainChange
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

type plainChange Change // without the methods

// MarshalJSON writes the change in its one encoding; bytes are base64 in it, and
// the revisions as [Revision.String] has them, left out where there is none.
func (c Change) MarshalJSON() ([]byte, error) {
	return json.Marshal(encodedChange{plainChange(c), revisionText(c.Before), revisionText(c.After)})
}

// UnmarshalJSON reads what MarshalJSON wrote, strictly.
func (c *Change) UnmarshalJSON(data []byte) error {
	var in encodedChange
	if err := decodeStrictly(data, &in); err != nil {
		return Errorf(ErrInvalid, "change cannot be decoded: %s", decodeFault(err))
	}
	*c = Change(in.plainChange)
	var err error
	if c.Before, err = parseRevisionText(in.Before); err != nil {
		return err
	}
	c.After, err = parseRevisionText(in.After)
	return err
}
