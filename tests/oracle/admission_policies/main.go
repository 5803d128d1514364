// SPDX-License-Identifier: Apache-2.0
// admission_policies says what the API server makes of a folder of policies: a line of JSON in, a line of JSON out.
//
//	{"folder": …}                 is it loaded, by Kubernetes' own loader
//	{"folder": …, "samples": […]} and what the policies say of objects, by Kubernetes' own validator
//
// A sample has the policy, the resource, the object, what was there before, the operation and the user. {"error": …} is why
// the API server does not start.
//
// It is built by a go.mod that the test writes for one release from Kubernetes' own (tests/it/support/kubernetes.rs).
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	_ "unsafe"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/authentication/user"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/kubernetes/pkg/admission/plugin/policy/manifest/loader"
)

// compilePolicy is what the plugin makes of a policy. It is not exported.
//
//go:linkname compilePolicy k8s.io/apiserver/pkg/admission/plugin/policy/validating.compilePolicy
func compilePolicy(policy *admissionv1.ValidatingAdmissionPolicy) validating.Validator

// The budget of one request, in units of the expression language (pkg/apis/cel/config.go).
const budget = 10_000_000

type question struct {
	Folder  string   `json:"folder"`
	Samples []sample `json:"samples"`
}

type sample struct {
	Policy    string                 `json:"policy"`
	User      string                 `json:"user"`
	Groups    []string               `json:"groups"`
	Operation string                 `json:"operation"`
	Resource  string                 `json:"resource"`
	Object    map[string]interface{} `json:"object"`
	Old       map[string]interface{} `json:"old"`
}

type answer struct {
	Error    string   `json:"error,omitempty"`
	Policies int      `json:"policies"`
	Bindings int      `json:"bindings"`
	Hash     string   `json:"hash"`
	Verdicts []string `json:"verdicts,omitempty"`
}

func main() {
	must(utilfeature.DefaultMutableFeatureGate.Set("ManifestBasedAdmissionControlConfig=true"))
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var q question
		must(json.Unmarshal(lines.Bytes(), &q))
		must(out.Encode(judge(q)))
	}
	must(lines.Err())
}

func judge(q question) answer {
	loaded, err := loader.LoadValidatingManifestsFromDirectory(q.Folder)
	if err != nil {
		return answer{Error: err.Error()}
	}
	a := answer{Policies: len(loaded.Policies), Bindings: len(loaded.Bindings), Hash: loaded.Hash}
	validators := map[string]validating.Validator{}
	if len(q.Samples) > 0 {
		for _, policy := range loaded.Policies {
			validators[policy.Name] = compilePolicy(policy)
		}
	}
	for _, s := range q.Samples {
		a.Verdicts = append(a.Verdicts, verdict(validators[s.Policy+".static.k8s.io"], s))
	}
	return a
}

// verdict returns admit, or refuse or error with the message.
func verdict(validator validating.Validator, s sample) string {
	if validator == nil {
		return "error: no such policy"
	}
	object, old := typed(s.Object), typed(s.Old)
	u := &unstructured.Unstructured{Object: s.Object}
	kind := u.GroupVersionKind()
	resource := schema.GroupVersionResource{Group: kind.Group, Version: kind.Version, Resource: s.Resource}
	operation := admission.Create
	if s.Operation == "UPDATE" {
		operation = admission.Update
	}
	if s.User == "" {
		s.User = "alice"
	}
	by := &user.DefaultInfo{Name: s.User, Groups: s.Groups}
	record := admission.NewAttributesRecord(object, old, kind, u.GetNamespace(), u.GetName(), resource, "", operation, &metav1.CreateOptions{}, false, by)
	asked := &admission.VersionedAttributes{
		Attributes:         record,
		VersionedKind:      kind,
		VersionedObject:    versioned(object),
		VersionedOldObject: versioned(old),
	}
	for _, decision := range validator.Validate(context.Background(), resource, asked, nil, nil, budget, nil).Decisions {
		if decision.Evaluation == validating.EvalError {
			return "error: " + decision.Message
		}
		if decision.Action == validating.ActionDeny {
			return "refuse: " + decision.Message
		}
	}
	return "admit"
}

func typed(object map[string]interface{}) runtime.Object {
	if object == nil {
		return nil
	}
	u := &unstructured.Unstructured{Object: object}
	typed, err := scheme.Scheme.New(u.GroupVersionKind())
	must(err)
	must(runtime.DefaultUnstructuredConverter.FromUnstructured(object, typed))
	return typed
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
