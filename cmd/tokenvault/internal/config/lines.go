package config

import (
	"strconv"

	"github.com/goccy/go-yaml/ast"
)

// lineOf returns the line on which the value at a path stands, or that of the
// nearest thing above it where the path goes on into nothing.
func lineOf(tree *ast.File, path []string) int {
	if tree == nil || len(tree.Docs) == 0 || tree.Docs[0].Body == nil {
		return 1
	}
	node, line := tree.Docs[0].Body, 1
	for _, step := range path {
		next, at := child(node, step)
		if next == nil {
			break
		}
		node, line = next, at
	}
	return line
}

// child returns what a mapping has under a key, or a sequence at an index, and
// the line of the key or the entry.
func child(node ast.Node, step string) (ast.Node, int) {
	switch n := node.(type) {
	case *ast.MappingNode:
		for _, value := range n.Values {
			if next, line := child(value, step); next != nil {
				return next, line
			}
		}
	case *ast.MappingValueNode:
		if token := n.Key.GetToken(); token != nil && token.Value == step {
			return n.Value, token.Position.Line
		}
	case *ast.SequenceNode:
		i, err := strconv.Atoi(step)
		if err == nil && i >= 0 && i < len(n.Values) && n.Values[i].GetToken() != nil {
			return n.Values[i], n.Values[i].GetToken().Position.Line
		}
	}
	return nil, 0
}
