package settings

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// sections are the parts of config.json that hold settings, by name.
type sections map[string][]byte

// readSections reads config.json of the directory. A missing file, or a missing
// directory, has no settings.
func readSections(dir string) (sections, error) {
	path := filepath.Join(dir, "config.json")
	data, err := readLimited(path, poolkeeper.MaxDocument)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	data, _ = rawjson.StripBOM(data)
	if err := rawjson.Valid(data); err != nil {
		var syntax *rawjson.SyntaxError
		if errors.As(err, &syntax) {
			syntax.Path = path
		}
		return nil, err
	}
	if rawjson.KindOf(data) != rawjson.KindObject {
		return nil, errors.New(path + " is not a JSON object")
	}
	found := sections{}
	for _, name := range []string{"redis", "poolkeeper"} {
		value, ok := rawjson.Get(data, name)
		switch {
		case !ok || rawjson.KindOf(value) == rawjson.KindNull:
		case rawjson.KindOf(value) != rawjson.KindObject:
			return nil, errors.New(path + ": " + name + " is not a JSON object")
		default:
			found[name] = value
		}
	}
	return found, nil
}

// get returns a setting as text. Strings, numbers and booleans can be settings,
// and arrays of strings where it is a list; null and what is empty are none.
func (s sections) get(r *row) (value string, ok bool, err error) {
	raw, ok := rawjson.Get(s[r.section], r.key)
	if !ok {
		return "", false, nil
	}
	switch rawjson.KindOf(raw) {
	case rawjson.KindNull:
		return "", false, nil
	case rawjson.KindNumber, rawjson.KindBool:
		return string(raw), true, nil
	case rawjson.KindString:
		text, ok := rawjson.Unquote(raw)
		if !ok {
			return "", false, errors.New("must be valid Unicode")
		}
		return text, text != "", nil
	case rawjson.KindArray:
		if !r.list {
			break
		}
		var all []string
		err := rawjson.Array(raw, func(_ int, one []byte) error {
			text, ok := rawjson.Unquote(one)
			if !ok {
				return errors.New("must be an array of strings")
			}
			all = append(all, text)
			return nil
		})
		return strings.Join(all, ","), len(all) > 0, err
	}
	if r.list {
		return "", false, errors.New("must be a string or an array of strings")
	}
	return "", false, errors.New("must be a string, a number or a boolean")
}

// readLimited reads a regular file of at most limit bytes.
func readLimited(path string, limit int64) ([]byte, error) {
	// Without O_NONBLOCK, a pipe would block until somebody writes to it.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, errors.New(path + " is not a regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, errors.New(path + " is too large")
	}
	return data, err
}
