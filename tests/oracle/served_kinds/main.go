// SPDX-License-Identifier: Apache-2.0
// served_kinds prints every kind of which objects can be created at the API server of the minor that it is linked against:
// a line of JSON each, {"version", "kind", "asked"}. `asked` tells whether the flag runtime-config has to ask for it.
//
// Its argument is api/openapi-spec/swagger.json of that minor, which has the paths of all kinds, also of those that are
// off by default; the API server's own configuration of resources says which are.
package main

import (
	"encoding/json"
	"os"
	"sort"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kubernetes/pkg/controlplane"
)

// aggregated are the groups of the two servers beside the API server's own in its process, which no flag switches off by
// default.
var aggregated = []string{"apiextensions.k8s.io", "apiregistration.k8s.io"}

type row struct {
	Version string `json:"version"`
	Kind    string `json:"kind"`
	Asked   bool   `json:"asked"`
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	var spec struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(text, &spec); err != nil {
		panic(err)
	}
	config := controlplane.DefaultAPIResourceConfigSource()
	rows := map[row]bool{}
	for path, methods := range spec.Paths {
		post, can := methods["post"]
		if !can || strings.Contains(path, "{name}/") {
			continue
		}
		var action struct {
			Kind *schema.GroupVersionKind `json:"x-kubernetes-group-version-kind"`
		}
		if err := json.Unmarshal(post, &action); err != nil {
			panic(err)
		}
		parts := strings.Split(strings.Trim(path, "/"), "/")
		of := schema.GroupVersion{Version: parts[1]}
		if parts[0] == "apis" {
			of = schema.GroupVersion{Group: parts[1], Version: parts[2]}
		}
		// A subresource may take a kind of another group.
		if action.Kind == nil || action.Kind.GroupVersion() != of {
			continue
		}
		on := config.ResourceEnabled(of.WithResource(parts[len(parts)-1]))
		for _, group := range aggregated {
			on = on || of.Group == group
		}
		rows[row{of.String(), action.Kind.Kind, !on}] = true
	}
	var sorted []row
	for one := range rows {
		sorted = append(sorted, one)
	}
	sort.Slice(sorted, func(i, j int) bool {
		return sorted[i].Version+" "+sorted[i].Kind < sorted[j].Version+" "+sorted[j].Kind
	})
	out := json.NewEncoder(os.Stdout)
	for _, one := range sorted {
		if err := out.Encode(one); err != nil {
			panic(err)
		}
	}
}
