package redisstore

import (
	"github.com/poolkeeper/poolkeeper"
	"github.com/redis/rueidis"
)

// lay lays one field of the state hash over a state. A field that is none is
// of a later version, and left alone.
func lay(st *poolkeeper.State, field, lit string) {
	if f, ok := poolkeeper.FieldNamed(field); ok {
		st.Set(f, lit)
	} else if field == "decidedAt" {
		st.DecidedAt = poolkeeper.Int(lit)
	}
}

// stateNames are the fields that a provider has in the state hash.
var stateNames = func() []string {
	var names []string
	for _, f := range poolkeeper.Fields() {
		names = append(names, f.String())
	}
	return append(names, "decidedAt")
}()

// stateFields are the names of those fields there.
func stateFields(id string) []string {
	names := make([]string, len(stateNames))
	for i, n := range stateNames {
		names[i] = id + ":" + n
	}
	return names
}

// readState reads what HMGET answered for stateFields.
func readState(lits []rueidis.RedisMessage) (st poolkeeper.State) {
	for i, m := range lits {
		lit, err := m.ToString()
		if err != nil {
			continue
		}
		if i < poolkeeper.NumFields {
			st.Set(poolkeeper.Field(i), lit)
		} else {
			st.DecidedAt = poolkeeper.Int(lit)
		}
	}
	return st
}
