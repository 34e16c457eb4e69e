package vault

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"github.com/tokenvault/tokenvault/vault/store"
)

// TestNoKindIsForgotten fails for a new kind of record that is not in the list by
// which a lost keyset is noticed.
func TestNoKindIsForgotten(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "records.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		literal, ok := spec.Values[0].(*ast.BasicLit)
		if selector, isKind := spec.Type.(*ast.SelectorExpr); !ok || !isKind || selector.Sel.Name != "Kind" {
			return true
		}
		name, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		found++
		if kind := store.Kind(name); kind != kindKeyset && !slices.Contains(sealedKinds(), kind) {
			t.Errorf("%s is not among the sealed kinds", kind)
		}
		return true
	})
	if found != len(sealedKinds())+1 {
		t.Errorf("%d kinds are declared, %d listed besides the keyset", found, len(sealedKinds()))
	}
}
