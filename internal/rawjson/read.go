package rawjson

// Object calls fn for each member of the object data, in order, duplicates
// included. key is the raw literal with its quotes, value the raw value without
// white space around it; both are parts of data, not copies.
//
// The whole of data is checked in the same pass, so fn may have seen members
// when a [*SyntaxError] is returned for a later one. Object stops with the first
// error of fn and returns it as it is. Data that is no object is a
// [*SyntaxError] too.
func Object(data []byte, fn func(key, value []byte) error) error {
	c, err := newCursor(data, '{')
	if err != nil {
		return err
	}
	for {
		it, ok, err := c.next()
		if err != nil {
			return err
		}
		if !ok {
			return atEnd(data, c.pos)
		}
		if err := fn(it.key(data), it.raw(data)); err != nil {
			return err
		}
	}
}

// Array calls fn for each element of the array data, in order. It is to arrays
// what [Object] is to objects.
func Array(data []byte, fn func(i int, value []byte) error) error {
	c, err := newCursor(data, '[')
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		it, ok, err := c.next()
		if err != nil {
			return err
		}
		if !ok {
			return atEnd(data, c.pos)
		}
		if err := fn(i, it.raw(data)); err != nil {
			return err
		}
	}
}

// Get returns the raw value of a member of the object obj, as a part of obj.
// The last of several members with the same key is taken. ok is false if there
// is none, or if obj is not a valid object.
func Get(obj []byte, key string) (value []byte, ok bool) {
	err := Object(obj, func(k, v []byte) error {
		if string(keyName(k)) == key {
			value = v
		}
		return nil
	})
	if err != nil {
		return nil, false
	}
	return value, value != nil
}

// GetMany is [Get] for several keys in one pass: out[i] becomes the value of
// keys[i], or nil if there is none, and all of them nil if obj is not a valid
// object. out must be as long as keys. Every member is compared with every key,
// so it is meant for a handful of them.
func GetMany(obj []byte, keys []string, out [][]byte) {
	out = out[:len(keys)]
	clear(out)
	err := Object(obj, func(k, v []byte) error {
		name := keyName(k)
		for i, key := range keys {
			if string(name) == key {
				out[i] = v
			}
		}
		return nil
	})
	if err != nil {
		clear(out)
	}
}
