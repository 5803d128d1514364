// SPDX-License-Identifier: Apache-2.0
// The directories from which the API server takes policies and webhooks before it serves: loaded as its admission
// plugins load them (staticManifestsDir), with their defaults, their validation and the compiler of expressions.
package main

import (
	"fmt"

	"k8s.io/apiserver/pkg/admission/plugin/manifest"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	policies "k8s.io/kubernetes/pkg/admission/plugin/policy/manifest/loader"
	webhooks "k8s.io/kubernetes/pkg/admission/plugin/webhook/manifest/loader"
)

// add names objects of a kind in an answer.
func add[T interface{ GetName() string }](a *answer, kind string, objects []T) {
	for _, object := range objects {
		a.Objects = append(a.Objects, kind+" "+object.GetName())
	}
}

// judgeStatic loads a directory for a plugin. Objects are what it has read, in the order of their names.
func judgeStatic(plugin, directory string, gate bool) answer {
	must(utilfeature.DefaultMutableFeatureGate.SetFromMap(map[string]bool{"ManifestBasedAdmissionControlConfig": gate}))
	if err := manifest.ValidateStaticManifestsDir(directory); err != nil {
		return failed(err)
	}
	a := answer{Effect: true}
	switch plugin {
	case "ValidatingAdmissionPolicy":
		loaded, err := policies.LoadValidatingManifestsFromDirectory(directory)
		if err != nil {
			return failed(err)
		}
		add(&a, "policy", loaded.Policies)
		add(&a, "binding", loaded.Bindings)
	case "MutatingAdmissionPolicy":
		loaded, err := policies.LoadMutatingManifestsFromDirectory(directory)
		if err != nil {
			return failed(err)
		}
		add(&a, "policy", loaded.Policies)
		add(&a, "binding", loaded.Bindings)
	case "ValidatingAdmissionWebhook":
		loaded, err := webhooks.LoadValidatingManifests(directory)
		if err != nil {
			return failed(err)
		}
		add(&a, "configuration", loaded.Configurations)
	case "MutatingAdmissionWebhook":
		loaded, err := webhooks.LoadMutatingManifests(directory)
		if err != nil {
			return failed(err)
		}
		add(&a, "configuration", loaded.Configurations)
	default:
		must(fmt.Errorf("no such plugin: %s", plugin))
	}
	return a
}
