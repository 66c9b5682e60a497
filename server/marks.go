package server

import (
	"fmt"
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// markField carries the id of a provider whose id is not its uuid. It is put
// into what is read, and taken out of definitions that are put, so that a pool
// that is read and put back keeps its providers, and its bytes.
const markField = "_id"

// shown returns a provider as a list or a read shows it.
func shown(p *poolkeeper.Provider, definition bool) ([]byte, error) {
	if definition {
		return p.Definition, nil
	}
	b, err := p.JSON()
	if err != nil {
		return nil, err
	}
	if uuid, ok := poolkeeper.UsableUUID(p.Definition); ok && uuid == p.ID {
		return b, nil
	}
	if b, err = rawjson.SetMany(b, []rawjson.Edit{{Key: markField, Value: rawjson.Quote(p.ID)}}); err != nil {
		return nil, &poolkeeper.Error{Action: "read", Key: p.Ref.String(), Err: poolkeeper.ErrDamaged, Detail: "the stored definition is damaged: " + err.Error()}
	}
	return b, nil
}

// unmark takes the mark out of a definition that a client sends, and returns
// its id. A member of that name which is no derived id is the operator's own,
// and stays.
func unmark(definition []byte) (bare []byte, id string, err error) {
	raw, ok := rawjson.Get(definition, markField)
	if !ok {
		return definition, "", nil
	}
	if id, ok = rawjson.Unquote(raw); !ok || !strings.HasPrefix(id, "~") {
		return definition, "", nil
	}
	bare, _, err = rawjson.Delete(definition, markField)
	if err != nil {
		return nil, "", poolkeeper.Errorf(poolkeeper.ErrInvalid, "definition: %v", err)
	}
	return bare, id, nil
}

// records reads a body that is a whole pool. A provider keeps the id that it is
// marked with; the others get theirs as [poolkeeper.AssignIDs] says.
func (x *exchange) records() ([]poolkeeper.ProviderRecord, error) {
	elements, err := x.elements()
	if err != nil {
		return nil, err
	}
	records := make([]poolkeeper.ProviderRecord, len(elements))
	taken := map[string]bool{}
	var rest [][]byte
	for i, def := range elements {
		if err := poolkeeper.ValidateDefinition(def); err != nil {
			return nil, &refusal{
				error:  poolkeeper.Annotate(err, "put pool", fmt.Sprintf("element %d", i)),
				fields: []fieldFault{{Pointer: fmt.Sprintf("#/%d", i), Detail: "is not a definition"}},
			}
		}
		bare, id, err := unmark(def)
		if err != nil {
			return nil, err
		}
		records[i] = poolkeeper.ProviderRecord{ID: id, Definition: bare}
		if id == "" {
			rest = append(rest, bare)
		} else {
			taken[id] = true
		}
	}
	ids, derived := poolkeeper.AssignIDs(rest)
	for i, id := range ids {
		// A twin of one that was sent with its mark.
		for n := 2; derived[i] && taken[id]; n++ {
			id = poolkeeper.DerivedID(rest[i], n)
		}
		ids[i], taken[id] = id, true
	}
	for i := range records {
		if records[i].ID == "" {
			records[i].ID, ids = ids[0], ids[1:]
		}
	}
	return records, nil
}
