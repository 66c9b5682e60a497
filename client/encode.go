package client

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/poolkeeper/poolkeeper"
)

// encodeKeys writes the keys of a load. One that is not UTF-8 holds nothing, and
// JSON would make another one of it, so it is left out. none says that all were:
// the types are then asked for instead, to see whether the store can be read.
func encodeKeys(keys []poolkeeper.Key) (body []byte, none bool, err error) {
	good := make([]poolkeeper.Key, 0, len(keys))
	for _, k := range keys {
		if utf8.ValidString(k.Type) && utf8.ValidString(k.Name) && utf8.ValidString(string(k.Kind)) {
			good = append(good, k)
		}
	}
	if none = len(good) == 0 && len(keys) > 0; none {
		good = append(good, poolkeeper.TypesKey)
	}
	body, err = json.Marshal(good)
	if err != nil {
		err = poolkeeper.Errorf(poolkeeper.ErrInternal, "keys: %v", err)
	}
	return body, none, err
}
