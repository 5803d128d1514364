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

// judgeStatic loads a directory for a plugin. Objects are what it has read, in the order of their names.
func judgeStatic(plugin, directory string, gate bool) answer {
	must(utilfeature.DefaultMutableFeatureGate.SetFromMap(map[string]bool{"ManifestBasedAdmissionControlConfig": gate}))
	if err := manifest.ValidateStaticManifestsDir(directory); err != nil {
		return failed(err)
	}
	a := answer{Effect: true}
	add := func(kind, name string) { a.Objects = append(a.Objects, kind+" "+name) }
	switch plugin {
	case "ValidatingAdmissionPolicy":
		loaded, err := policies.LoadValidatingManifestsFromDirectory(directory)
		if err != nil {
			return failed(err)
		}
		for _, policy := range loaded.Policies {
			add("policy", policy.Name)
		}
		for _, binding := range loaded.Bindings {
			add("binding", binding.Name)
		}
	case "MutatingAdmissionPolicy":
		loaded, err := policies.LoadMutatingManifestsFromDirectory(directory)
		if err != nil {
			return failed(err)
		}
		for _, policy := range loaded.Policies {
			add("policy", policy.Name)
		}
		for _, binding := range loaded.Bindings {
			add("binding", binding.Name)
		}
	case "ValidatingAdmissionWebhook":
		loaded, err := webhooks.LoadValidatingManifests(directory)
		if err != nil {
			return failed(err)
		}
		for _, one := range loaded.Configurations {
			add("configuration", one.Name)
		}
	case "MutatingAdmissionWebhook":
		loaded, err := webhooks.LoadMutatingManifests(directory)
		if err != nil {
			return failed(err)
		}
		for _, one := range loaded.Configurations {
			add("configuration", one.Name)
		}
	default:
		must(fmt.Errorf("no such plugin: %s", plugin))
	}
	return a
}
