package configdir

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
	"github.com/poolkeeper/poolkeeper/internal/show"
)

// A placer finds the files of the tokens.
type placer struct {
	*layout
	snap     *poolkeeper.Snapshot
	prefixes prefixes
	external bool                        // tokens are laid out at paths outside too
	paths    map[poolkeeper.Ref][]string // the normalised texts that name the token of a ref
	folded   map[string]bool             // taken paths, for file systems without case

	positions map[poolkeeper.Ref]int // of all providers, made on first use
}

// tokens lays out every token, at each path in the parent of the directory by
// which it is named. One without any gets a place.
func (p *placer) tokens() error {
	p.paths = map[poolkeeper.Ref][]string{}
	for k, d := range p.snap.Values {
		if k.Kind != poolkeeper.KindTokenRefs {
			continue
		}
		owner, err := poolkeeper.DecodeTokenOwner(d.Data)
		if err != nil {
			if err := p.refuse(k.Name, &poolkeeper.Error{Action: "write", Key: show.Clip(k.String()), Err: poolkeeper.ErrDamaged, Detail: "the owner of the path cannot be read"}); err != nil {
				return err
			}
			continue
		}
		p.paths[owner] = append(p.paths[owner], k.Name)
	}
	var homeless []poolkeeper.Key
	for _, k := range p.snap.KeysOf(poolkeeper.KindToken) {
		p.report.Tokens++
		placed, err := p.named(k)
		if err != nil {
			return err
		}
		if !placed {
			homeless = append(homeless, k)
		}
	}
	for _, k := range homeless {
		if err := p.place(k); err != nil {
			return err
		}
	}
	return nil
}

// named lays out a token at the paths that name it.
func (p *placer) named(k poolkeeper.Key) (placed bool, err error) {
	data := p.snap.Values[k].Data
	var outside []string // of the parent, or no files of its own
	for _, text := range p.paths[poolkeeper.Ref{Type: k.Type, ID: k.Name}] {
		at, ok := p.prefixes.inside(text)
		if !ok || !isFilePath(at) {
			outside = append(outside, text)
			continue
		}
		if err := p.put(at, k, data); err != nil {
			return false, err
		}
		placed = true
	}
	if p.external && !placed {
		var rest []string
		for _, text := range outside {
			if !isExternal(text) || path.Base(text) == ".." || text == "/" {
				rest = append(rest, text)
				continue
			}
			if err := p.put(text, k, data); err != nil {
				return false, err
			}
			placed = true
		}
		outside = rest
	}
	for _, text := range outside {
		if _, known := p.prefixes.inside(text); known || !placed {
			p.report.note(poolsFile, show.Clip(k.String()), CodeUnplaced, "%s is not written: it leaves the parent of the directory, or is another file of the gateway", showPath(text))
		}
	}
	return placed, nil
}

func (p *placer) put(at string, k poolkeeper.Key, data []byte) error {
	if other, taken := p.files[at]; taken && other.Key != k {
		return p.refuse(at, poolkeeper.Annotate(poolkeeper.Errorf(poolkeeper.ErrExists, "%s has the same path %s", show.Clip(other.Key.String()), showPath(at)), "write", show.Clip(k.String())))
	} else if !taken {
		p.report.TokenFiles++
	}
	p.files[at] = File{k, data}
	if p.folded != nil {
		p.folded[strings.ToLower(at)] = true
	}
	return nil
}

// position finds a provider in its pool; -1 where it is gone.
func (p *placer) position(r poolkeeper.Ref) int {
	if p.positions == nil {
		p.positions = map[poolkeeper.Ref]int{}
		for _, pool := range p.pools {
			for i := range pool.Providers {
				p.positions[pool.Providers[i].Ref] = i
			}
		}
	}
	if i, ok := p.positions[r]; ok {
		return i
	}
	return -1
}

// place finds a place for a token that no path names: the one that its
// provider's definition has, or a new one, which the definition then names.
func (p *placer) place(k poolkeeper.Key) error {
	owner := poolkeeper.Ref{Type: k.Type, ID: k.Name}
	data := p.snap.Values[k].Data
	i := p.position(owner)
	var field string // the one that names its token
	if i >= 0 {
		if paths := poolkeeper.TokenPaths(p.pools[owner.Type].Providers[i].Definition); len(paths) > 0 {
			at, ok := p.prefixes.inside(paths[0].Raw)
			_, taken := p.files[at]
			switch other, _ := poolkeeper.DecodeTokenOwner(p.snap.Values[poolkeeper.TokenRefKey(paths[0].Path)].Data); {
			case other != owner && other != poolkeeper.Ref{}:
				i = -1 // the provider shares another token, and this one is left over
			case ok && isFilePath(at) && !taken && !strings.HasPrefix(paths[0].Raw, "redis:"):
				return p.put(at, k, data)
			default:
				field = paths[0].Field
			}
		}
	}
	h := homeOf(owner.Type)
	at := p.free(h.folder, owner)
	if err := p.put(at, k, data); err != nil {
		return err
	}
	if i < 0 || h.field == "" {
		p.report.note(at, "", CodePlaced, "the %s has no path that names it: written here, and nothing refers to it", show.Clip(k.String()))
		return nil
	}
	p.report.note(at, "", CodePlaced, "the %s has no file: written here, and its provider names it", show.Clip(k.String()))
	return p.rename(owner, i, at, h.field, field)
}

// rename gives a definition the path of its token.
func (p *placer) rename(owner poolkeeper.Ref, i int, at string, fields ...string) error {
	var edits []rawjson.Edit
	for _, f := range fields {
		if f != "" {
			edits = append(edits, rawjson.Edit{Key: f, Value: rawjson.Quote(at)})
		}
	}
	old := p.pools[owner.Type]
	def, err := rawjson.SetMany(old.Providers[i].Definition, edits)
	if err != nil {
		return &poolkeeper.Error{Action: "write", Key: owner.String(), Err: poolkeeper.ErrDamaged, Detail: "the stored definition is damaged"}
	}
	pool := *old
	if old == p.snap.Pools[owner.Type] { // the snapshot stays as it is
		pool.Providers = slices.Clone(old.Providers)
	}
	pool.Providers[i].Definition = def
	p.pools[owner.Type] = &pool
	return nil
}

// free returns a path in the folder that nothing has. Case is no difference,
// so that it is none either on a file system that keeps none.
func (p *placer) free(folder string, owner poolkeeper.Ref) string {
	if p.folded == nil {
		p.folded = map[string]bool{}
		for f := range p.files {
			p.folded[strings.ToLower(f)] = true
		}
		for k := range p.snap.Values {
			if k.Kind == poolkeeper.KindFile {
				p.folded[strings.ToLower(k.Name)] = true
			}
		}
	}
	name := fileName(owner.ID)
	for n := 1; ; n++ {
		at := Name + "/" + folder + "/" + name + "/" + name + ".json"
		if !p.folded[strings.ToLower(at)] {
			return at
		}
		name = fileName(owner.ID) + "-" + shortHash(owner.Type+"\x00"+owner.ID)
		if n > 1 {
			name += "-" + strconv.Itoa(n)
		}
	}
}

// effective returns the providers of a pool as the gateway is to see them.
func effective(pool *poolkeeper.Pool) (typedPool, error) {
	out := typedPool{typ: pool.Type, definitions: make([][]byte, len(pool.Providers))}
	for i := range pool.Providers {
		def, err := pool.Providers[i].JSON()
		if err != nil {
			return typedPool{}, err
		}
		out.definitions[i] = def
	}
	return out, nil
}
