package configdir

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
	"github.com/poolkeeper/poolkeeper/internal/show"
)

// A named is a path by which a provider names a token file.
type named struct {
	owner poolkeeper.Ref
	at    int // the place of the provider in its pool
	path  poolkeeper.TokenPath
	first bool // it is the path that the gateway reads
}

// where is the place of the field.
func (n named) where() string { return place(n.owner.Type, n.at, n.path.Field) }

// tokenPaths returns the token paths of a provider, which has so many fields for one,
// and warns of fields that hold none.
func tokenPaths(report *Report, p *poolkeeper.Provider, i, fields int) []named {
	found := poolkeeper.TokenPaths(p.Definition)
	out := make([]named, len(found))
	for k, tp := range found {
		out[k] = named{p.Ref, i, tp, k == 0}
	}
	if len(found) == fields {
		return out
	}
	good := map[string]bool{}
	for _, tp := range found {
		good[tp.Field] = true
	}
	// The definition was parsed before.
	_ = rawjson.Object(p.Definition, func(key, _ []byte) error {
		if name, ok := rawjson.Unquote(key); ok && poolkeeper.IsTokenPathField(name) && !good[name] {
			good[name] = true
			report.tokenNote(named{p.Ref, i, poolkeeper.TokenPath{Field: name}, false},
				CodeTokenPath, "is empty or not a string of UTF-8")
		}
		return nil
	})
	return out
}

func (r *Report) tokenNote(n named, code Code, text string) {
	if n.path.Raw != "" {
		text = showPath(n.path.Raw) + " " + text
	}
	r.note(poolsFile, n.where(), code, "%s (provider %s)", text, show.Clip(show.Name(n.owner.ID)))
}

// tokens takes the token files that the providers name. First all first paths,
// so that a file is a token whoever else names it as a second one.
func (r *reader) tokens(ctx context.Context, all []named) error {
	seen := make(map[string]bool, len(all))
	for _, first := range []bool{true, false} {
		for _, n := range all {
			if n.first != first {
				continue
			}
			p, f, err := r.find(n)
			if err != nil {
				return err
			}
			if f == nil {
				continue
			}
			seen[f.real] = true
			if err := r.token(n, p, f); err != nil {
				return err
			}
		}
	}
	r.report.TokenFiles = len(seen)
	return r.inParts(ctx, len(r.taken), func(from, to int, report *Report) {
		for _, t := range r.taken[from:to] {
			checkToken(report, t)
		}
	})
}

// find looks for the file of a token path; nil where there is none to take,
// which it notes.
func (r *reader) find(n named) (string, *scanned, error) {
	p, ok := r.root.inside(n.path.Raw)
	switch {
	case !ok && r.external:
		return r.findExternal(n)
	case !ok:
		r.report.tokenNote(n, CodeTokenOutside, "leaves the parent of the directory: not read, as external files were not allowed")
		return "", nil, nil
	}
	f, code, text, err := r.lookUp(p)
	if err != nil {
		return "", nil, err
	}
	if f == nil {
		r.report.tokenNote(n, code, text)
	} else if real, ok := r.stepwise(n.path.Raw); ok && real != f.real {
		r.report.tokenNote(n, CodeTokenUnclear, "is read as "+showPath(p)+"; step by step it leads elsewhere or nowhere, which is where the gateway may look")
	}
	return p, f, nil
}

// stepwise resolves the text of a relative path that goes up again as the file
// system does it: through the links on its way, and only through directories
// that are there. real is empty where that leads nowhere; ok is false for texts
// that mean the same in any case.
func (r *reader) stepwise(text string) (real string, ok bool) {
	if path.IsAbs(text) || !strings.Contains(text, "..") {
		return "", false
	}
	real, _, err := r.root.resolve(text)
	if err != nil {
		real = ""
	}
	return real, true
}

// lookUp finds a file that is named by its path. Where there is none to take,
// code and text say why.
func (r *reader) lookUp(p string) (f *scanned, code Code, text string, err error) {
	f = r.files[p]
	if f == nil {
		real, info, err := r.root.resolve(p)
		switch {
		case errors.Is(err, errOutside):
			return nil, CodeTokenOutside, "is a link that leaves the parent of the directory: not read", nil
		case errors.Is(err, errLoop):
			return nil, CodeTokenMissing, "is a loop of links", nil
		case errors.Is(err, fs.ErrPermission):
			return nil, "", "", r.root.refusal(p, err)
		case err != nil: // also a name that no file can have
			return nil, CodeTokenMissing, "does not exist", nil
		case info.IsDir():
			return nil, CodeTokenDirectory, "is a directory: not followed", nil
		case !info.Mode().IsRegular():
			return nil, CodeSpecial, "is neither a file nor a directory: not read", nil
		}
		data, err := r.root.read(real, poolkeeper.MaxDocument)
		if err != nil {
			return nil, "", "", err
		}
		f = &scanned{data, real}
	}
	if isReserved(p) || isReserved(f.real) {
		return nil, CodeTokenReserved, "is another file of the gateway, not a token: not taken", nil
	}
	if len(f.data) > poolkeeper.MaxDocument {
		return nil, "", "", r.root.refuse(p, poolkeeper.ErrTooLarge, "a token of %d bytes; the limit is %d", len(f.data), poolkeeper.MaxDocument)
	}
	return f, "", "", nil
}

// token takes one token file, or one more path of it.
func (r *reader) token(n named, p string, f *scanned) error {
	owner, isToken := r.owners[f.real]
	if !isToken && !n.first && isExternal(p) {
		r.report.tokenNote(n, CodeTokenSecond, "is a second token file of the provider, which the gateway does not read: not taken")
		return nil
	}
	if !isToken && !n.first {
		if r.second[p] {
			return nil
		}
		r.report.tokenNote(n, CodeTokenSecond, "is a second token file of the provider, which the gateway does not read: carried as a file")
		r.second[p] = true
		return r.carryNamed(p, f)
	}
	if !isToken {
		owner = n.owner
		r.owners[f.real] = owner
		r.report.Tokens++
		if err := r.putNamed(poolkeeper.TokenKey(owner), f.data, n); err != nil {
			return err
		}
		r.taken = append(r.taken, taken{p, f.data, owner})
	}
	// The text of a path may be absolute, or name the directory as it is called
	// here. The file then has a path of its own beside it, which means the same
	// wherever the directory is put.
	ref := poolkeeper.EncodeTokenOwner(owner)
	err := r.putNamed(poolkeeper.TokenRefKey(n.path.Path), ref, n)
	if err == nil && p != n.path.Path {
		err = r.putNamed(poolkeeper.TokenRefKey(p), ref, n)
	}
	r.used[p] = true
	return err
}

// A taken is a file that became a token.
type taken struct {
	path  string
	data  []byte
	owner poolkeeper.Ref
}

// checkToken warns of what is odd in a token.
func checkToken(report *Report, t taken) {
	if rawjson.Valid(t.data) != nil || rawjson.KindOf(t.data) != rawjson.KindObject {
		report.note(t.path, "", CodeTokenObject, "not a valid JSON object; it is kept, as token of %s", show.Clip(t.owner.String()))
		return
	}
	if !utf8.Valid(t.data) {
		report.note(t.path, "", CodeUTF8, "has bytes that are no UTF-8; they are kept")
	}
	checkTwice(report, t.path, t.data)
}

func (r *reader) putNamed(k poolkeeper.Key, data []byte, n named) error {
	if err := k.Validate(); err != nil {
		return r.root.annotate(poolsFile, poolkeeper.Annotate(err, "", n.where()))
	}
	r.put(k, data)
	return nil
}

// carryNamed makes sure that a file is carried which the walk need not have
// found.
func (r *reader) carryNamed(p string, f *scanned) error {
	if r.files[p] == nil {
		if err := poolkeeper.ValidatePath(p); err != nil {
			return r.root.annotate(p, err)
		}
		r.files[p] = f
	}
	return nil
}

// configToken carries the file of a credential that config.json names for all
// providers of a kind, wherever in the parent of the directory it lies.
func (r *reader) configToken(field string, value []byte) error {
	text, ok := rawjson.Unquote(value)
	if !ok || text == "" {
		return nil
	}
	p, ok := r.root.inside(text)
	if !ok {
		r.report.note(configFile, pointer(field), CodeTokenOutside, "%s leaves the parent of the directory: not read", showPath(text))
		return nil
	}
	f, code, why, err := r.lookUp(p)
	if err != nil {
		return err
	}
	if f == nil {
		r.report.note(configFile, pointer(field), code, "%s %s", showPath(text), why)
		return nil
	}
	return r.carryNamed(p, f)
}
