// SPDX-License-Identifier: Apache-2.0
//go:build since_1_35

package main

import utilfeature "k8s.io/apiserver/pkg/util/feature"

func dependencies() map[string][]string {
	all := map[string][]string{}
	for name, needs := range utilfeature.DefaultMutableFeatureGate.Dependencies() {
		for _, need := range needs {
			all[string(name)] = append(all[string(name)], string(need))
		}
	}
	return all
}
