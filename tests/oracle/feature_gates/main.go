// SPDX-License-Identifier: Apache-2.0
// feature_gates prints every feature gate that a program knows which is linked against one minor of Kubernetes: a line of
// JSON each, {"name", "stage", "on", "locked", "needs"}.
//
// With kube.go it is the process of K3s, whose components share one set of gates; without it, the cloud controller manager
// by itself, which links fewer packages. tests/it/feature_gates builds both.
package main

import (
	"encoding/json"
	"os"
	"sort"

	_ "k8s.io/apiserver/pkg/features"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/featuregate"
	_ "k8s.io/controller-manager/pkg/features/register"
)

type row struct {
	Name string `json:"name"`
	// Stage is ALPHA, BETA, DEPRECATED, or nothing for what is generally available.
	Stage  string `json:"stage"`
	On     bool   `json:"on"`
	Locked bool   `json:"locked"`
	// Needs are the gates that have to be on where this one is.
	Needs []string `json:"needs"`
}

func main() {
	gate := utilfeature.DefaultMutableFeatureGate
	for _, add := range more {
		if err := add(); err != nil {
			panic(err)
		}
	}
	needs := dependencies()
	all := gate.GetAll()
	var names []string
	for name := range all {
		names = append(names, string(name))
	}
	sort.Strings(names)
	out := json.NewEncoder(os.Stdout)
	for _, name := range names {
		spec := all[featuregate.Feature(name)]
		if err := out.Encode(row{name, string(spec.PreRelease), spec.Default, spec.LockToDefault, needs[name]}); err != nil {
			panic(err)
		}
	}
}

// more adds the gates that commands add by themselves.
var more []func() error
