// SPDX-License-Identifier: Apache-2.0
// config_fields prints the fields of every kind of configuration that Kubernetes' components read from files, as the
// modules that it is linked against have them: a line of JSON each, {"version", "kind", "type", "field", "of"}.
//
// "type" is the Go type that has the field: the kind itself, or a type below it. "of" is the field's Go type, with the
// names of Kubernetes' types without their packages. tests/it/config_fields writes packages.go for one minor, which
// names the packages that this minor has.
package main

import (
	"encoding/json"
	"os"
	"reflect"
	"sort"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
)

type row struct {
	Version string `json:"version"`
	Kind    string `json:"kind"`
	Type    string `json:"type"`
	Field   string `json:"field"`
	Of      string `json:"of"`
}

var out = json.NewEncoder(os.Stdout)

func main() {
	scheme := runtime.NewScheme()
	for _, add := range packages {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	known := scheme.AllKnownTypes()
	kinds := make([]string, 0, len(known))
	types := map[string]reflect.Type{}
	for kind, goType := range known {
		// Every scheme knows the types of requests.
		if !strings.HasPrefix(goType.PkgPath(), "k8s.io/apimachinery/") && kind.Version != runtime.APIVersionInternal {
			name := kind.GroupVersion().String() + " " + kind.Kind
			kinds = append(kinds, name)
			types[name] = goType
		}
	}
	sort.Strings(kinds)
	for _, name := range kinds {
		version, kind, _ := strings.Cut(name, " ")
		printer := printer{version: version, kind: kind, seen: map[reflect.Type]bool{}}
		printer.structure(types[name])
	}
}

type printer struct {
	version, kind string
	seen          map[reflect.Type]bool
}

// structure prints the fields of a struct, and then those of the structs below it.
func (p *printer) structure(goType reflect.Type) {
	if p.seen[goType] {
		return
	}
	p.seen[goType] = true
	var below []reflect.Type
	p.fields(goType, goType.Name(), &below)
	if goType.NumField() == 0 {
		p.print(row{Type: goType.Name()})
	}
	for _, one := range below {
		p.structure(one)
	}
}

func (p *printer) fields(goType reflect.Type, name string, below *[]reflect.Type) {
	for i := 0; i < goType.NumField(); i++ {
		field := goType.Field(i)
		tag, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case tag == "-":
		case field.Anonymous && tag == "" || strings.Contains(options, "inline"):
			p.fields(field.Type, name, below)
		default:
			if tag == "" {
				tag = field.Name
			}
			p.print(row{Type: name, Field: tag, Of: describe(field.Type, below)})
		}
	}
}

func (p *printer) print(row row) {
	row.Version, row.Kind = p.version, p.kind
	if err := out.Encode(row); err != nil {
		panic(err)
	}
}

var unmarshaler = reflect.TypeOf((*json.Unmarshaler)(nil)).Elem()

// describe names a type, and collects the structs in it.
func describe(goType reflect.Type, below *[]reflect.Type) string {
	if goType.Kind() != reflect.Ptr && reflect.PtrTo(goType).Implements(unmarshaler) {
		return goType.Name()
	}
	switch goType.Kind() {
	case reflect.Ptr:
		return describe(goType.Elem(), below)
	case reflect.Slice:
		if goType.Elem().Kind() == reflect.Uint8 {
			return "bytes"
		}
		return "[]" + describe(goType.Elem(), below)
	case reflect.Map:
		return "{}" + describe(goType.Elem(), below)
	case reflect.Struct:
		*below = append(*below, goType)
		return goType.Name()
	default:
		return goType.Kind().String()
	}
}
