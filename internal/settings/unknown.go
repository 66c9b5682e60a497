package settings

import (
	"slices"

	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// others are names in the section poolkeeper of config.json that clients read, such as
// the adapter for Node gateways, and the service does not.
var others = []string{"url", "socketPath", "apiKeyFile", "timeout"}

// Unknown lists the names in the section poolkeeper of config.json that mean nothing
// to anybody, such as misspelt ones.
func (s *Settings) Unknown() []string { return slices.Clone(s.unknown) }

func (s sections) unknown() (names []string) {
	const section = "poolkeeper"
	if s[section] == nil {
		return nil
	}
	// It was read as JSON before: there is no error.
	rawjson.Object(s[section], func(key, _ []byte) error {
		name, ok := rawjson.Unquote(key)
		if !ok {
			name = string(key)
		}
		known := slices.Contains(others, name) || slices.ContainsFunc(table, func(r row) bool { return r.section == section && r.key == name })
		if !known && !slices.Contains(names, name) {
			names = append(names, name)
		}
		return nil
	})
	return names
}
