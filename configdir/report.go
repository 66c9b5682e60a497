package configdir

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/poolkeeper/poolkeeper/internal/show"
)

// A Code says what kind of thing a [Note] is about.
type Code string

// The codes of notes.
const (
	CodeBOM           Code = "bom"            // a byte order mark stands at the start
	CodeUTF8          Code = "utf8"           // bytes that are no UTF-8
	CodeDuplicateKey  Code = "duplicate-key"  // a key stands twice in an object; the last one counts
	CodeDuplicateType Code = "duplicate-type" // a provider type stands twice; the last pool counts
	CodeConfig        Code = "config"         // a setting has an unusable value
	CodeUUIDUnusable  Code = "uuid-unusable"  // a provider has no uuid that can be its id
	CodeUUIDDuplicate Code = "uuid-duplicate" // a provider has the uuid of another one in its pool
	CodeCounter       Code = "counter"        // a counter is not a whole number
	CodeTime          Code = "time"           // a time is none
	CodeDocument      Code = "document"       // a document is damaged or has the wrong shape
	CodeSession       Code = "session"        // a session cannot be used
	CodeLink          Code = "link"           // a symbolic link was not followed
	CodeSpecial       Code = "special"        // neither a file nor a directory
	CodeName          Code = "name"           // a file name that cannot be carried

	CodeTokenMissing   Code = "token-missing"   // a token path names no file
	CodeTokenDirectory Code = "token-directory" // a token path names a directory
	CodeTokenOutside   Code = "token-outside"   // a token path leaves the parent of configs/
	CodeTokenPath      Code = "token-path"      // a token path is empty or no string
	CodeTokenUnclear   Code = "token-unclear"   // a token path that leads elsewhere step by step
	CodeTokenReserved  Code = "token-reserved"  // a token path names a file that is something else
	CodeTokenSecond    Code = "token-second"    // a token file that only a second path names
	CodeTokenObject    Code = "token-object"    // a token is not a JSON object

	CodePlaced    Code = "placed"    // a token without a file got one
	CodeUnplaced  Code = "unplaced"  // a token path was not written to
	CodeShadowed  Code = "shadowed"  // a carried file gave way to a token of the same path
	CodeUnwritten Code = "unwritten" // something cannot be a file
	CodeReplaced  Code = "replaced"  // a damaged document was replaced
)

// A Note is something that an operator should know.
type Note struct {
	Path  string `json:"path"`            // the file, as a snapshot names it
	Where string `json:"where,omitempty"` // the place in it, as "type[position].field" or a JSON Pointer
	Code  Code   `json:"code"`
	Text  string `json:"text"`
}

// String prints the note on one line.
func (n Note) String() string {
	s := show.Name(n.Path)
	if n.Where != "" {
		s += " " + n.Where
	}
	return s + ": " + n.Text
}

// A Report says what was found in a directory, or put into one.
type Report struct {
	Types          int `json:"types"`
	Providers      int `json:"providers"`
	Tokens         int `json:"tokens"`         // stored tokens
	TokenFiles     int `json:"tokenFiles"`     // distinct files that token paths name
	Documents      int `json:"documents"`      // config.json not counted
	Files          int `json:"files"`          // carried files
	Sessions       int `json:"sessions"`       // live ones
	SessionEntries int `json:"sessionEntries"` // all in token-store.json
	Scanned        int `json:"scanned"`        // regular files under configs/, transient ones included

	// Config and Password say whether there is a config.json and a pwd.
	Config   bool `json:"config"`
	Password bool `json:"password"`

	// Unreferenced are the carried files that nothing refers to.
	Unreferenced []string `json:"unreferenced,omitempty"`
	// Transient are the files that were left out: *.tmp, *.lock and temp/; and
	// directories that a write has left behind.
	Transient []string `json:"transient,omitempty"`
	Warnings  []Note   `json:"warnings,omitempty"`

	// Written are the files that a directory got new, Replaced those that were
	// there, and Left those that it has beside them. A dry run lists what would be.
	Written  []string `json:"written,omitempty"`
	Replaced []string `json:"replaced,omitempty"`
	Left     []string `json:"left,omitempty"`

	// Steps are directories that must be there, besides those of files, for
	// token paths with ".." to lead to their files, as Files found.
	Steps []string `json:"-"`
}

func (r *Report) note(p, where string, code Code, format string, args ...any) {
	r.Warnings = append(r.Warnings, Note{p, where, code, fmt.Sprintf(format, args...)})
}

// place names a provider, or a field of one, by its position in the file.
func place(typ string, i int, field string) string {
	s := show.Name(typ) + "[" + strconv.Itoa(i) + "]"
	if field != "" {
		s += "." + show.Clip(show.Name(field))
	}
	return s
}

// pointer is the JSON Pointer of keys and positions.
func pointer(steps ...any) string {
	var b strings.Builder
	for _, s := range steps {
		text := strings.ReplaceAll(strings.ReplaceAll(fmt.Sprint(s), "~", "~0"), "/", "~1")
		b.WriteString("/" + show.Clip(text))
	}
	return b.String()
}

// showPath prints the value of a path field. Where an operator pasted a key or
// a document there instead, it prints none of it.
func showPath(s string) string {
	text := strings.TrimSpace(s)
	secret := strings.HasPrefix(text, "eyJ") || // base64 of a JSON object
		text != "" && strings.ContainsRune("{[\"", rune(text[0])) ||
		strings.ContainsAny(s, "\n\r") ||
		len(s) > 64 && !strings.ContainsAny(s, "/\\") && !strings.HasPrefix(s, "redis:")
	if secret {
		return fmt.Sprintf("(a value of %d characters that does not look like a path)", utf8.RuneCountInString(s))
	}
	return show.Clip(show.Name(s))
}

// isTransient reports whether a file is left out: what a write or an upload
// under way leaves behind.
func isTransient(p string) bool {
	return strings.HasSuffix(p, ".tmp") || strings.HasSuffix(p, ".lock") || strings.HasPrefix(p, tempDir+"/")
}

// isReserved reports whether a file in the directory is something else than a
// token or a file to carry.
func isReserved(p string) bool {
	switch p {
	case configFile, poolsFile, passwordFile:
		return true
	}
	return path.Dir(p) == Name && isDocument(path.Base(p))
}

func (r *Report) finish() {
	slices.Sort(r.Unreferenced)
	slices.Sort(r.Transient)
	slices.Sort(r.Written)
	slices.Sort(r.Replaced)
	slices.Sort(r.Left)
}
