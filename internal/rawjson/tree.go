package rawjson

// A tree is a parsed document, for the operations that walk to any depth: with
// it each of them reads the document once, however deep it is nested.
type tree struct {
	data  []byte
	nodes []node // in document order, the root first
}

// A node is one value of a tree.
type node struct {
	item
	next int // index of the first node behind this one and all within it
}

// parse checks data and returns its tree.
func parse(data []byte) (*tree, error) {
	if err := Valid(data); err != nil {
		return nil, err
	}
	t := new(tree)
	t.read(data)
	return t, nil
}

// read makes t the tree of data, which must be valid.
func (t *tree) read(data []byte) {
	t.data, t.nodes = data, t.nodes[:0]
	var open []int // the containers around the position, by index
	key := -1      // where the key of the next value starts
	keyEnd := 0
	for i := skipSpace(data, 0); i < len(data); i = skipSpace(data, i) {
		c := data[i]
		end := tokenEnd(data, i)
		switch {
		case c == ',' || c == ':':
		case c == '}' || c == ']':
			n := &t.nodes[open[len(open)-1]]
			n.end, n.next = end, len(t.nodes)
			open = open[:len(open)-1]
		case c == '"' && isKey(data, end):
			key, keyEnd = i, end
		default:
			it := item{start: i, keyEnd: i, value: i, end: end}
			if key >= 0 {
				it.start, it.keyEnd, key = key, keyEnd, -1
			}
			if c == '{' || c == '[' {
				open = append(open, len(t.nodes))
			}
			t.nodes = append(t.nodes, node{it, len(t.nodes) + 1})
		}
		i = end
	}
}

// isKey reports whether the string that ends at data[end] is a key: in a valid
// document a colon follows no other.
func isKey(data []byte, end int) bool {
	end = skipSpace(data, end)
	return end < len(data) && data[end] == ':'
}

// bracket returns the first byte of the value of node n.
func (t *tree) bracket(n int) byte { return t.data[t.nodes[n].value] }

// raw returns the value of node n, name the text of its key.
func (t *tree) raw(n int) []byte  { return t.nodes[n].raw(t.data) }
func (t *tree) name(n int) []byte { return keyName(t.nodes[n].key(t.data)) }

// children calls yield with each item of the object or array n.
func (t *tree) children(n int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for k := n + 1; k < t.nodes[n].next; k = t.nodes[k].next {
			if !yield(k) {
				return
			}
		}
	}
}

// members returns the node of every key of the object n, that of the last
// member where there are several.
func (t *tree) members(n int) map[string]int {
	m := make(map[string]int)
	for k := range t.children(n) {
		m[string(t.name(k))] = k
	}
	return m
}

// container returns node n with its items, and the node of each item.
func (t *tree) container(n int) (container, []int) {
	c := container{data: t.data, start: t.nodes[n].value, end: t.nodes[n].end}
	var nodes []int
	for k := range t.children(n) {
		c.items = append(c.items, t.nodes[k].item)
		nodes = append(nodes, k)
	}
	return c, nodes
}
