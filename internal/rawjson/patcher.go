package rawjson

import "slices"

// A patcher applies operations to its document, one after the other.
type patcher struct {
	tree
	copied int // bytes that copy operations have added
}

func (p *patcher) apply(op operation) *PatchError {
	switch op.name {
	case "add":
		return p.add(op.path, op.value)
	case "remove":
		return p.remove(op.path)
	case "replace":
		return p.replace(op.path, op.value)
	case "move":
		return p.move(op.from, op.path)
	case "copy":
		return p.copy(op.from, op.path)
	default:
		return p.test(op.path, op.value)
	}
}

// edit makes the document the one that the splices lead to.
func (p *patcher) edit(splices ...splice) {
	p.read(spliced(p.data, 0, len(p.data), splices))
}

func (p *patcher) add(path pointer, value []byte) *PatchError {
	if depth(value) > MaxDepth-len(path) {
		return failure(path, "nested too deeply")
	}
	if len(path) == 0 {
		return p.replace(path, value)
	}
	parent, token, err := p.parent(path)
	if err != nil {
		return err
	}
	c, _ := p.container(parent)
	if p.bracket(parent) == '{' {
		if _, ok := p.child(parent, token); ok {
			return p.replace(path, value)
		}
		p.edit(c.insert(len(c.items), addition{Quote(token), value}))
		return nil
	}
	i := len(c.items)
	if token != "-" {
		var ok bool
		if i, ok = arrayIndex(token, len(c.items)+1); !ok {
			return failure(path, "is not an index of the array, nor its end")
		}
	}
	p.edit(c.insert(i, addition{value: value}))
	return nil
}

func (p *patcher) remove(path pointer) *PatchError {
	if len(path) == 0 {
		return failure(path, "the whole document cannot be removed")
	}
	parent, token, err := p.parent(path)
	if err != nil {
		return err
	}
	n, err := p.mustFind(path)
	if err != nil {
		return err
	}
	c, nodes := p.container(parent)
	fates := make([]fate, len(nodes))
	for i, k := range nodes {
		fates[i] = keep
		if k == n || p.bracket(parent) == '{' && string(p.name(k)) == token {
			fates[i] = drop
		}
	}
	p.edit(c.rewrite(nil, fates, nil, nil)...)
	return nil
}

func (p *patcher) replace(path pointer, value []byte) *PatchError {
	if depth(value) > MaxDepth-len(path) {
		return failure(path, "nested too deeply")
	}
	n, err := p.mustFind(path)
	if err != nil {
		return err
	}
	p.edit(splice{p.nodes[n].value, p.nodes[n].end, value})
	return nil
}

func (p *patcher) move(from, path pointer) *PatchError {
	n, err := p.mustFind(from)
	if err != nil {
		return err
	}
	if from.isPrefixOf(path) {
		return failure(path, `is inside of "from"`)
	}
	if slices.Equal(from, path) {
		return nil
	}
	value := p.raw(n) // stays what it is: an edit makes a new document
	if err := p.remove(from); err != nil {
		return err
	}
	return p.add(path, value)
}

func (p *patcher) copy(from, path pointer) *PatchError {
	n, err := p.mustFind(from)
	if err != nil {
		return err
	}
	value := p.raw(n)
	if p.copied += len(value); p.copied > maxCopied {
		return failure(path, "the patch copies too much")
	}
	return p.add(path, value)
}

func (p *patcher) test(path pointer, value []byte) *PatchError {
	n, ok := p.find(path)
	if !ok {
		err := failure(path, "test failed: does not exist")
		err.err = ErrTestFailed
		return err
	}
	want := new(tree)
	want.read(value)
	if !equal(&p.tree, n, want, 0) {
		err := failure(path, "test failed: has another value")
		err.err = ErrTestFailed
		return err
	}
	return nil
}

func (p *patcher) mustFind(path pointer) (int, *PatchError) {
	n, ok := p.find(path)
	if !ok {
		return 0, failure(path, "does not exist")
	}
	return n, nil
}

// parent returns the object or array that the last token of path belongs to,
// and that token.
func (p *patcher) parent(path pointer) (int, string, *PatchError) {
	last := len(path) - 1
	n, err := p.mustFind(path[:last])
	if err != nil {
		return 0, "", err
	}
	if b := p.bracket(n); b != '{' && b != '[' {
		return 0, "", failure(path[:last], "is neither an object nor an array")
	}
	return n, path[last], nil
}

// insert returns the splice that puts a new item in front of the i-th one, or
// at the end.
func (c *container) insert(i int, a addition) splice {
	text := c.textOf([]addition{a}, i > 0)
	switch {
	case len(c.items) == 0:
		return splice{c.start + 1, c.end - 1, text}
	case i == 0:
		at := c.items[0].start
		return splice{at, at, append(text, c.separator()...)}
	default:
		at := c.items[i-1].end
		return splice{at, at, text}
	}
}

// depth returns how deep arrays and objects are nested in v, which must be
// valid.
func depth(v []byte) int {
	deepest, now := 0, 0
	for i := skipSpace(v, 0); i < len(v); i = skipSpace(v, tokenEnd(v, i)) {
		switch v[i] {
		case '{', '[':
			now++
			deepest = max(deepest, now)
		case '}', ']':
			now--
		}
	}
	return deepest
}
