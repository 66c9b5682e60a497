package redisstore

import (
	"strconv"
	"strings"

	"github.com/poolkeeper/poolkeeper"
)

// A publication is one change as a script publishes it, see docs/formats.md.
type publication struct {
	key           string // the Redis key that changed
	before, after string // its revisions
	kind, body    string
}

var errPublication = poolkeeper.Errorf(poolkeeper.ErrUnavailable, "a change was published that cannot be read").
	WithHint("watch again, and load what is needed; upgrade this poolkeeper where the store has newer writers")

// parsePublication takes the header of a publication off.
func (k keyspace) parsePublication(text string) (p publication, err error) {
	rest, ok := strings.CutPrefix(text, "1")
	if !ok {
		return p, errPublication
	}
	for _, part := range []*string{&p.key, &p.before, &p.after, &p.kind} {
		if *part, rest, ok = cutNetstring(rest); !ok {
			return p, errPublication
		}
	}
	p.body = rest
	if p.key, ok = strings.CutPrefix(p.key, k.prefix+"ctl:{"); !ok {
		return p, errPublication
	}
	if p.key, ok = strings.CutSuffix(p.key, "}"); !ok {
		return p, errPublication
	}
	return p, nil
}

// cutNetstring takes the first netstring off a text.
func cutNetstring(s string) (text, rest string, ok bool) {
	length, tail, ok := strings.Cut(s, ":")
	n, err := strconv.Atoi(length)
	if !ok || err != nil || n < 0 || n >= len(tail) || tail[n] != ',' {
		return "", "", false
	}
	return tail[:n], tail[n+1:], true
}

// netstrings takes apart what is made of nothing else.
func netstrings(s string) (parts []string, err error) {
	for s != "" {
		text, rest, ok := cutNetstring(s)
		if !ok {
			return nil, errPublication
		}
		parts, s = append(parts, text), rest
	}
	return parts, nil
}

// changes says what a publication means. One of a key that is none of this
// version's means nothing to it; a change of another kind is one that needs to
// be loaded.
func (k keyspace) changes(p publication) ([]poolkeeper.Change, error) {
	c := poolkeeper.Change{Kind: poolkeeper.ChangeValue}
	var err error
	if c.Before, err = parseRevision(p.before); err != nil {
		return nil, errPublication
	}
	if c.After, err = parseRevision(p.after); err != nil {
		return nil, errPublication
	}
	if p.key == k.typeOrder() {
		c.Kind, c.Key = poolkeeper.ChangeTypes, poolkeeper.TypesKey
		return []poolkeeper.Change{c}, nil
	}
	key, ok := k.parse(p.key)
	if !ok {
		return nil, nil
	}
	if c.Key = key; key.Kind != poolkeeper.KindPool {
		return valueChanges(c, p)
	}
	switch c.Kind = poolkeeper.ChangePool; p.kind {
	case "state":
		c.Kind = poolkeeper.ChangeState
		c.States, err = publishedStates(strings.Split(p.body, "\x00"))
	case "provider":
		err = publishedProvider(&c, p.body)
	}
	return []poolkeeper.Change{c}, err
}

// valueChanges makes one change of each field of a hash.
func valueChanges(c poolkeeper.Change, p publication) ([]poolkeeper.Change, error) {
	if c.Key.Kind != poolkeeper.KindFile && c.Key.Kind != poolkeeper.KindTokenRefs || p.kind != "value" {
		return []poolkeeper.Change{c}, nil
	}
	fields, err := netstrings(p.body)
	if err != nil {
		return nil, err
	}
	out := make([]poolkeeper.Change, len(fields))
	for i, f := range fields {
		out[i], out[i].Key.Name = c, f
	}
	return out, nil
}

// publishedProvider reads the change of one provider.
func publishedProvider(c *poolkeeper.Change, body string) error {
	parts, err := netstrings(body)
	if err != nil || len(parts) < 4 {
		return errPublication
	}
	if c.ID = parts[1]; parts[3] != "" {
		c.Definition = []byte(parts[3])
	}
	switch parts[0] {
	case "put", "set":
		c.Kind = poolkeeper.ChangePut
		if c.States, err = publishedStates(parts[4:]); err != nil {
			return err
		}
		if parts[0] == "set" {
			if len(c.States) == 0 {
				c.States = []poolkeeper.ProviderState{{ID: c.ID}}
			}
			c.States[0].Whole = true
		}
	case "delete":
		c.Kind = poolkeeper.ChangeDelete
	case "rename":
		c.Kind, c.NewID = poolkeeper.ChangeRename, parts[2]
	default:
		*c = poolkeeper.Change{Kind: poolkeeper.ChangePool, Key: c.Key, Before: c.Before, After: c.After}
	}
	return nil
}

// publishedStates reads pairs of a name in the state and its literal. Those of
// one provider stand together, or nearly: a later one counts all the same.
func publishedStates(pairs []string) ([]poolkeeper.ProviderState, error) {
	if len(pairs)%2 != 0 {
		return nil, errPublication
	}
	var states []poolkeeper.ProviderState
	at := map[string]int{}
	for i := 0; i < len(pairs); i += 2 {
		colon := strings.LastIndexByte(pairs[i], ':')
		if colon <= 0 {
			return nil, errPublication
		}
		id := pairs[i][:colon]
		n, ok := at[id]
		if !ok {
			n = len(states)
			id = strings.Clone(id) // or a reader that keeps it keeps all of the text
			at[id], states = n, append(states, poolkeeper.ProviderState{ID: id})
		}
		lay(&states[n].State, pairs[i][colon+1:], strings.Clone(pairs[i+1]))
	}
	return states, nil
}
