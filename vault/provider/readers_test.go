package provider

import (
	"bytes"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestEveryFieldOfADefinitionHasAReader finds fields that a catalogue could set
// and nothing would act on. Checking and merging fields is not reading them.
func TestEveryFieldOfADefinitionHasAReader(t *testing.T) {
	read := map[string]bool{}
	for _, folder := range []string{".", ".."} {
		for field := range fieldsRead(t, folder) {
			read[field] = true
		}
	}
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(at reflect.Type) {
		switch at.Kind() {
		case reflect.Pointer, reflect.Map:
			walk(at.Elem())
			return
		case reflect.Struct:
		default:
			return
		}
		if seen[at] {
			return
		}
		seen[at] = true
		for i := range at.NumField() {
			if name := at.Name() + "." + at.Field(i).Name; !read[name] {
				t.Errorf("nothing reads %s", name)
			}
			walk(at.Field(i).Type)
		}
	}
	walk(reflect.TypeFor[Definition]())
}

// fieldsRead returns the fields of this package's types that the code in a
// folder selects, as Type.Field.
func fieldsRead(t *testing.T, folder string) map[string]bool {
	t.Helper()
	list, err := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", folder).Output()
	if err != nil {
		t.Fatalf("the go command lists no packages: %v", err)
	}
	exports := map[string]string{}
	for line := range strings.Lines(string(list)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		exports[path] = file
	}
	files := token.NewFileSet()
	var parsed []*ast.File
	sources, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range sources {
		base := filepath.Base(source)
		if strings.HasSuffix(base, "_test.go") || strings.HasPrefix(base, "validate") || base == "override.go" {
			continue
		}
		file, err := parser.ParseFile(files, source, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, file)
	}
	info := &types.Info{Selections: map[*ast.SelectorExpr]*types.Selection{}}
	config := types.Config{
		Error: func(error) {}, // what was left out is missing
		Importer: importer.ForCompiler(files, "gc", func(path string) (io.ReadCloser, error) {
			data, err := os.ReadFile(exports[path])
			return io.NopCloser(bytes.NewReader(data)), err
		}),
	}
	_, _ = config.Check("checked", files, parsed, info)
	read := map[string]bool{}
	for _, selection := range info.Selections {
		if selection.Kind() != types.FieldVal {
			continue
		}
		from := selection.Recv()
		for _, i := range selection.Index() {
			if pointer, ok := from.Underlying().(*types.Pointer); ok {
				from = pointer.Elem()
			}
			structure, ok := from.Underlying().(*types.Struct)
			if !ok {
				break
			}
			field := structure.Field(i)
			if named, ok := from.(*types.Named); ok {
				read[named.Obj().Name()+"."+field.Name()] = true
			}
			from = field.Type()
		}
	}
	return read
}
