package main

import (
	"encoding/json"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// changeTexts says what a change is, for people: a line for each provider.
func changeTexts(c poolkeeper.Change) []string {
	name := word(c.Key.Type) + " " + word(c.ID)
	switch c.Kind {
	case poolkeeper.ChangeState:
		var out []string
		for i := range c.States {
			s := &c.States[i]
			out = append(out, word(c.Key.Type)+" "+word(s.ID)+stateText(s))
		}
		return out
	case poolkeeper.ChangePut:
		for i := range c.States {
			name += stateText(&c.States[i])
		}
		return []string{name}
	case poolkeeper.ChangeRename:
		return []string{name + " is " + word(c.NewID)}
	case poolkeeper.ChangePool:
		return []string{word(c.Key.Type)}
	case poolkeeper.ChangeTypes:
		return []string{"the types or their order"}
	case poolkeeper.ChangeValue:
		if c.Key.Name != "" {
			return []string{c.Key.String()}
		}
		return []string{cell(string(c.Key.Kind))}
	}
	return []string{name}
}

// stateText lists the fields that were written.
func stateText(s *poolkeeper.ProviderState) string {
	out := ""
	for _, f := range poolkeeper.Fields() {
		switch lit, ok := s.State.Get(f); {
		case !ok:
		case lit == poolkeeper.Absent:
			out += "  " + f.String() + " -"
		default:
			out += "  " + f.String() + " " + cell(unmarked(maskField(f, lit)))
		}
	}
	return out
}

// maskField masks the literal of a runtime field, which may hold a message of an
// upstream.
func maskField(f poolkeeper.Field, lit string) string {
	doc := append(append(rawjson.AppendQuote([]byte{'{'}, f.String()), ':'), lit...)
	doc = append(doc, '}')
	if rawjson.Valid(doc) != nil {
		return masked
	}
	v, ok := rawjson.Get(mask(doc), f.String())
	if !ok {
		return masked
	}
	return string(v)
}

// unmarked is the text of a literal, without the marks of a string.
func unmarked(lit string) string {
	if s, ok := rawjson.Unquote([]byte(lit)); ok && s != "" {
		return s
	}
	return lit
}

// An eventState is the state of a provider on a line of JSON.
type eventState struct {
	ID     string                     `json:"id"`
	Fields map[string]json.RawMessage `json:"fields"`
	Absent []string                   `json:"absent,omitempty"`
	Whole  bool                       `json:"whole,omitempty"`
}

// eventLine is a line of JSON.
func eventLine(event string, at time.Time, c poolkeeper.Change) []byte {
	line := struct {
		At         string                `json:"at"`
		Event      string                `json:"event"`
		Kind       poolkeeper.ChangeKind `json:"kind,omitempty"`
		Key        *poolkeeper.Key       `json:"key,omitempty"`
		Before     string                `json:"before,omitempty"`
		After      string                `json:"after,omitempty"`
		ID         string                `json:"id,omitempty"`
		NewID      string                `json:"newId,omitempty"`
		Definition json.RawMessage       `json:"definition,omitempty"`
		States     []eventState          `json:"states,omitempty"`
	}{At: at.UTC().Format("2006-01-02T15:04:05.000Z"), Event: event}
	if event == "change" {
		line.Kind, line.Key, line.ID, line.NewID = c.Kind, &c.Key, c.ID, c.NewID
		line.Before, line.After = c.Before.String(), c.After.String()
		if rawjson.Valid(c.Definition) == nil {
			line.Definition = mask(c.Definition)
		}
		for i := range c.States {
			line.States = append(line.States, stateLine(&c.States[i]))
		}
	}
	b, _ := json.Marshal(line) // strings, and JSON that is valid
	return b
}

func stateLine(s *poolkeeper.ProviderState) eventState {
	out := eventState{ID: s.ID, Fields: map[string]json.RawMessage{}, Whole: s.Whole}
	for _, f := range poolkeeper.Fields() {
		switch lit, ok := s.State.Get(f); {
		case !ok:
		case lit == poolkeeper.Absent:
			out.Absent = append(out.Absent, f.String())
		default:
			out.Fields[f.String()] = json.RawMessage(maskField(f, lit))
		}
	}
	return out
}
