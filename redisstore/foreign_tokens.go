package redisstore

import (
	"bytes"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// A foreignToken is one token as it is read.
type foreignToken struct {
	key  *foreignKey
	ref  poolkeeper.Ref // what its name says
	data []byte
	used bool // it is stored, under whatever name
	tied bool // it is some provider's, stored or not
}

// A tokenReader finds out whose token is whose.
type tokenReader struct {
	*foreignReader
	all   []*foreignToken
	named map[poolkeeper.Ref][]*foreignToken
}

// readTokens reads the tokens, and stores each under its provider.
func (f *foreignReader) readTokens() error {
	t := &tokenReader{foreignReader: f, named: map[poolkeeper.Ref][]*foreignToken{}}
	err := f.strings(kindToken, poolkeeper.MaxDocument, func(k *foreignKey, data []byte) error {
		ref, ok := f.tokenRef(k.name, k.arg)
		if !ok {
			f.left[k.name] = true
			f.note(f.title(kindToken, k), "", noteOrphan, "no token can have that name: not taken")
			return nil
		}
		token := &foreignToken{key: k, ref: ref, data: data}
		t.all = append(t.all, token)
		t.named[ref] = append(t.named[ref], token)
		return nil
	})
	if err != nil {
		return err
	}
	// The surest tie of all providers comes first, so that a weaker one never
	// takes what is another's.
	for _, find := range []func(*poolkeeper.Provider) []*foreignToken{t.tied, t.byField, t.byFile} {
		for _, typ := range f.snap.Types {
			pool := f.snap.Pools[typ]
			for i := range pool.Providers {
				if _, has := f.snap.Token(pool.Providers[i].Ref); !has {
					t.link(&pool.Providers[i], find(&pool.Providers[i]))
				}
			}
		}
	}
	t.shareFiles()
	t.leftOver()
	t.check()
	return nil
}

// tokenRef reads what a key of a token, or of a counter, is about. The layout
// does not escape: where a type is known to have a colon, it counts. What is
// escaped is of a conversion that was cut off.
func (f *foreignReader) tokenRef(name, arg string) (poolkeeper.Ref, bool) {
	if k, ok := f.parse(name); ok && strings.Contains(arg, "%") && f.pools[k.Type] != nil {
		r := poolkeeper.Ref{Type: k.Type, ID: k.Name}
		return r, r.Validate() == nil
	}
	for _, typ := range f.types {
		if id, ok := strings.CutPrefix(arg, typ+":"); ok {
			r := poolkeeper.Ref{Type: typ, ID: id}
			return r, r.Validate() == nil
		}
	}
	typ, id, ok := strings.Cut(arg, ":")
	r := poolkeeper.Ref{Type: typ, ID: id}
	return r, ok && r.Validate() == nil
}

// tied finds the tokens that are the provider's by its id, and by the name that
// its pseudo path has.
func (t *tokenReader) tied(p *poolkeeper.Provider) []*foreignToken {
	out := t.byID(p.Type, p.ID)
	for _, tp := range poolkeeper.TokenPaths(p.Definition) {
		if name, ok := strings.CutPrefix(tp.Raw, "redis:"+nameTokens); ok {
			if r, ok := t.tokenRef("", name); ok {
				out = append(out, t.free(r)...)
			}
		}
	}
	return out
}

// byField finds those of the field that the provider was read from.
func (t *tokenReader) byField(p *poolkeeper.Provider) []*foreignToken {
	return t.byID(p.Type, t.fields[p.Ref])
}

// byID finds the tokens of an id, also under the short type that one of the
// gateway's modules uses.
func (t *tokenReader) byID(typ, id string) []*foreignToken {
	out := t.free(poolkeeper.Ref{Type: typ, ID: id})
	if short, ok := strings.CutSuffix(typ, "-oauth"); ok {
		out = append(out, t.free(poolkeeper.Ref{Type: short, ID: id})...)
	}
	return out
}

// free are the tokens of a name that are nobody's yet.
func (t *tokenReader) free(r poolkeeper.Ref) (out []*foreignToken) {
	for _, token := range t.named[r] {
		if !token.tied {
			out = append(out, token)
		}
	}
	return out
}

// byFile finds a token that has the name of the provider's file, as an early
// version of the layout gave it: the number that the folder or the file begins
// with, or the name of the file.
func (t *tokenReader) byFile(p *poolkeeper.Provider) []*foreignToken {
	paths := poolkeeper.TokenPaths(p.Definition)
	if len(paths) == 0 || strings.HasPrefix(paths[0].Raw, "redis:") || t.owners[paths[0].Path] != (poolkeeper.Ref{}) {
		return nil
	}
	file, folder := path.Base(paths[0].Path), path.Base(path.Dir(paths[0].Path))
	var out []*foreignToken
	for _, name := range []string{strings.TrimSuffix(file, ".json"), folder} {
		number, _, _ := strings.Cut(name, "_")
		for _, id := range []string{name, number} {
			for _, token := range t.named[poolkeeper.Ref{Type: p.Type, ID: id}] {
				if !token.tied && len(out) == 0 && (id == name || strings.Trim(id, "0123456789") == "") {
					out = append(out, token)
				}
			}
		}
	}
	return out
}

// link stores under a provider the one of its tokens that expires last.
func (t *tokenReader) link(p *poolkeeper.Provider, found []*foreignToken) {
	if len(found) == 0 {
		return
	}
	best := found[0]
	for _, other := range found {
		other.tied = true
		if later(other.data, best.data) {
			best = other
		}
	}
	t.store(best, p.Ref)
	if best.ref != p.Ref {
		t.note(t.title(kindToken, best.key), "", noteToken, "it is the token of the provider %s", fieldTitle(p.Ref.String()))
	}
	paths := poolkeeper.TokenPaths(p.Definition)
	if len(paths) > 0 && !paths[0].Outside && !strings.HasPrefix(paths[0].Raw, "redis:") {
		if t.owners[paths[0].Path] == (poolkeeper.Ref{}) && poolkeeper.TokenRefKey(paths[0].Path).Validate() == nil {
			t.owners[paths[0].Path] = p.Ref
		}
	}
}

func later(a, b []byte) bool {
	x, known := poolkeeper.TokenExpiry(a)
	y, also := poolkeeper.TokenExpiry(b)
	return known && also && x > y
}

func (t *tokenReader) store(token *foreignToken, ref poolkeeper.Ref) {
	token.used = true
	t.snap.Values[poolkeeper.TokenKey(ref)] = poolkeeper.Document{Data: token.data}
}

// shareFiles makes one token of those of a file that several providers name:
// the layout has one for each of them, and the file is one.
func (t *tokenReader) shareFiles() {
	users := map[string][]poolkeeper.Ref{}
	for _, typ := range t.snap.Types {
		for i := range t.snap.Pools[typ].Providers {
			p := &t.snap.Pools[typ].Providers[i]
			if paths := poolkeeper.TokenPaths(p.Definition); len(paths) > 0 && t.owners[paths[0].Path] != (poolkeeper.Ref{}) {
				users[paths[0].Path] = append(users[paths[0].Path], p.Ref)
			}
		}
	}
	for _, file := range slices.Sorted(maps.Keys(users)) {
		refs := users[file]
		owner := t.owners[file]
		for _, r := range refs {
			d, ok := t.snap.Token(r)
			if best, _ := t.snap.Token(owner); ok && r != owner && later(d.Data, best.Data) {
				owner = r
			}
		}
		t.snap.Values[poolkeeper.TokenRefKey(file)] = poolkeeper.Document{Data: poolkeeper.EncodeTokenOwner(owner)}
		best, _ := t.snap.Token(owner)
		for _, r := range refs {
			d, ok := t.snap.Token(r)
			switch {
			case !ok || r == owner:
			case bytes.Equal(d.Data, best.Data):
				delete(t.snap.Values, poolkeeper.TokenKey(r))
				t.note(nameTokens+fieldTitle(r.Type+":"+r.ID), "", noteCopy, "the token of the same file is stored under the provider %s: one is enough", fieldTitle(owner.String()))
			default:
				t.note(nameTokens+fieldTitle(r.Type+":"+r.ID), "", noteToken, "its provider shares a file with %s, whose token expires later or came first: that one counts, and this one is kept beside it",
					fieldTitle(owner.String()))
			}
		}
	}
}

// leftOver drops the tokens that are stored under another name already, and
// keeps the others although no provider has them.
func (t *tokenReader) leftOver() {
	stored := map[string]poolkeeper.Ref{}
	for k, d := range t.snap.Values {
		if k.Kind == poolkeeper.KindToken {
			r := poolkeeper.Ref{Type: k.Type, ID: k.Name}
			if other, ok := stored[string(d.Data)]; !ok || r.String() < other.String() {
				stored[string(d.Data)] = r
			}
		}
	}
	for _, token := range t.all {
		if token.used {
			continue
		}
		title := t.title(kindToken, token.key)
		if r, ok := stored[string(token.data)]; ok {
			t.note(title, "", noteCopy, "no provider has it, and its content is that of the token of %s: not taken a second time", fieldTitle(r.String()))
			continue
		}
		ref := token.ref
		for _, taken := t.snap.Token(ref); taken; _, taken = t.snap.Token(ref) {
			ref.ID += ".old"
		}
		t.store(token, ref)
		stored[string(token.data)] = ref
		t.note(title, "", noteOrphan, "no provider has it: kept as the token of %s", fieldTitle(ref.String()))
	}
}

// check notes what is odd about tokens.
func (t *tokenReader) check() {
	var mortal []string
	for _, token := range t.all {
		title := t.title(kindToken, token.key)
		if token.key.ttl >= 0 {
			mortal = append(mortal, fieldTitle(token.key.arg))
		}
		if rawjson.Valid(token.data) != nil || rawjson.KindOf(token.data) != rawjson.KindObject {
			t.note(title, "", noteObject, "not a valid JSON object: kept as it is")
		}
	}
	t.noteEach(nameTokens+"…", noteTTL, "would have expired: stored without a time to live", mortal)
}
