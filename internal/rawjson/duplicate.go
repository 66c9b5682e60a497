package rawjson

// DuplicateKey returns the offset of the first key that stands a second time in
// its object, at any depth of the valid document v, and -1 where there is none.
func DuplicateKey(v []byte) int {
	var above []keySet // those of the containers around the present one
	var keys keySet
	for i := skipSpace(v, 0); i < len(v); {
		end := tokenEnd(v, i)
		next := skipSpace(v, end)
		switch v[i] {
		case '{', '[':
			above = append(above, keys)
			keys = keySet{}
		case '}', ']':
			if last := len(above) - 1; last >= 0 {
				keys, above = above[last], above[:last]
			}
		case '"':
			if next < len(v) && v[next] == ':' && !keys.add(keyName(v[i:end])) {
				return i
			}
		}
		i = next
	}
	return -1
}

// A keySet is the keys of one object. Few are compared one by one, which takes
// no memory of their own.
type keySet struct {
	few  [][]byte
	many map[string]struct{}
}

const fewKeys = 16

// add reports whether the key is new.
func (s *keySet) add(key []byte) bool {
	if s.many != nil {
		before := len(s.many)
		s.many[string(key)] = struct{}{}
		return len(s.many) > before
	}
	for _, k := range s.few {
		if string(k) == string(key) {
			return false
		}
	}
	if s.few = append(s.few, key); len(s.few) > fewKeys {
		s.many = make(map[string]struct{}, 2*len(s.few))
		for _, k := range s.few {
			s.many[string(k)] = struct{}{}
		}
		s.few = nil
	}
	return true
}
