package marketing

import "strings"

// selector is what a request wants of an answer: fields and exclude_fields, which
// name members of objects with dots between them. Arrays have no name of their own:
// lists.id is the id of every list.
type selector struct {
	fields  tree // nil: everything
	exclude tree
}

// tree is names, each with those below it. One with none below it stands for all.
type tree map[string]tree

func newSelector(fields, exclude string) selector {
	return selector{fields: grow(fields), exclude: grow(exclude)}
}

// grow makes a tree of names with commas between them. Nil: there are none.
func grow(names string) tree {
	var root tree
	for name := range strings.SplitSeq(names, ",") {
		name = strings.TrimSpace(name)
		if name == "" {
			continue
		}
		if root == nil {
			root = tree{}
		}
		node := root
		steps := strings.Split(name, ".")
		for i, step := range steps {
			below, known := node[step]
			if known && len(below) == 0 {
				break // all of it is named already
			}
			if i == len(steps)-1 {
				node[step] = nil
				break
			}
			if below == nil {
				below = tree{}
				node[step] = below
			}
			node = below
		}
	}
	return root
}

// apply returns what is wanted of a value that encoding/json has read. What it is
// given stays as it is.
func (s selector) apply(value any) any {
	if s.fields != nil {
		value = keep(value, s.fields)
	}
	if s.exclude != nil {
		value = drop(value, s.exclude)
	}
	return value
}

func keep(value any, names tree) any {
	switch value := value.(type) {
	case []any:
		kept := make([]any, len(value))
		for i, item := range value {
			kept[i] = keep(item, names)
		}
		return kept
	case object:
		kept := object{}
		for name, below := range names {
			member, ok := value[name]
			if !ok {
				continue
			}
			if len(below) > 0 {
				member = keep(member, below)
			}
			kept[name] = member
		}
		return kept
	}
	return value
}

func drop(value any, names tree) any {
	switch value := value.(type) {
	case []any:
		left := make([]any, len(value))
		for i, item := range value {
			left[i] = drop(item, names)
		}
		return left
	case object:
		left := object{}
		for name, member := range value {
			below, named := names[name]
			switch {
			case !named:
				left[name] = member
			case len(below) > 0:
				left[name] = drop(member, below)
			}
		}
		return left
	}
	return value
}
