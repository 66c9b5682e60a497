package rawjson

import "fmt"

// MergePatch applies the JSON Merge Patch (RFC 7386) patch to target and
// returns the new document. Only what the patch names changes: null deletes
// (all members with the key), an object is merged into an object, anything else
// replaces the value; new members are added as [Set] does. A new object is
// taken from the patch without its members that are null, as the RFC has it.
//
// The error is a [*SyntaxError] with "target" or "patch" in front of it.
func MergePatch(target, patch []byte) ([]byte, error) {
	t, err := parse(target)
	if err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	p, err := parse(patch)
	if err != nil {
		return nil, fmt.Errorf("patch: %w", err)
	}
	return spliced(target, 0, len(target), merge(nil, t, 0, p, 0)), nil
}

// merge appends the splices that merge node m of p into node n of t.
func merge(out []splice, t *tree, n int, p *tree, m int) []splice {
	if p.bracket(m) != '{' || t.bracket(n) != '{' {
		it := t.nodes[n].item
		return append(out, splice{it.value, it.end, p.withoutNulls(m)})
	}

	patch := p.members(m)
	c, nodes := t.container(n)
	fates := make([]fate, len(nodes))
	landed := make(map[int]int) // node of the patch → item of the target
	for i, k := range nodes {
		fates[i] = keep
		if from, ok := patch[string(t.name(k))]; !ok {
			continue
		} else if p.isNull(from) {
			fates[i] = drop
		} else {
			landed[from] = i
		}
	}
	var added []addition
	for k := range p.children(m) {
		i, ok := landed[k]
		switch {
		case ok:
			fates[i] = fate(k)
		case patch[string(p.name(k))] == k && !p.isNull(k):
			added = append(added, addition{p.nodes[k].key(p.data), p.withoutNulls(k)})
		}
	}

	return c.rewrite(out, fates, func(out []splice, i int) []splice {
		return merge(out, t, nodes[i], p, int(fates[i]))
	}, added)
}

// withoutNulls returns the value of node n. If it is an object, members that
// are null are left out of it and of the objects in it, and so are members that
// a later one with the same key hides; arrays stay as they are.
func (t *tree) withoutNulls(n int) []byte {
	it := t.nodes[n].item
	return spliced(t.data, it.value, it.end, t.dropNulls(nil, n))
}

func (t *tree) dropNulls(out []splice, n int) []splice {
	if t.bracket(n) != '{' {
		return out
	}
	seen := t.members(n)
	c, nodes := t.container(n)
	fates := make([]fate, len(nodes))
	for i, k := range nodes {
		fates[i] = fate(k)
		if t.isNull(k) || seen[string(t.name(k))] != k {
			fates[i] = drop
		}
	}
	return c.rewrite(out, fates, func(out []splice, i int) []splice {
		return t.dropNulls(out, nodes[i])
	}, nil)
}

func (t *tree) isNull(n int) bool { return t.bracket(n) == 'n' }
