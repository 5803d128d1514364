// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bytes"
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"
	auditapi "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit/policy"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/server/options/encryptionconfig"
	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// suitable are the prefixes of what the providers write that the benchmark takes for suitable.
var suitable = []string{"k8s:enc:aescbc:", "k8s:enc:kms:", "k8s:enc:secretbox:"}

// tellEncryption has the API server's own transformer of Secrets write one. Where a key management service would have to
// answer, nothing is told.
func tellEncryption(o options.CompletedOptions) {
	file := o.Etcd.EncryptionProviderConfigFilepath
	now.Met["encryption-provider-config"], now.Met["encryption-providers"] = false, false
	if file == "" {
		return
	}
	config, err := encryptionconfig.LoadEncryptionConfig(context.Background(), file, false, "asked")
	if err != nil {
		return
	}
	transformers := encryptionconfig.StaticTransformers(config.Transformers)
	transformer := transformers.TransformerForResource(schema.GroupResource{Resource: "secrets"})
	written, err := transformer.TransformToStorage(context.Background(), []byte("secret"), value.DefaultContext("asked"))
	if err != nil {
		delete(now.Met, "encryption-provider-config")
		delete(now.Met, "encryption-providers")
		return
	}
	now.Met["encryption-provider-config"] = bytes.HasPrefix(written, []byte("k8s:enc:"))
	for _, prefix := range suitable {
		if bytes.HasPrefix(written, []byte(prefix)) {
			now.Met["encryption-providers"] = true
		}
	}
}

// stages are all that an event can be written at.
const stages = 4

// request is what the benchmark wants to have recorded (CIS Kubernetes Benchmark, 3.2.2), and whether its body is secret.
type request struct {
	group, resource, subresource string
	verbs                        []string
	secret                       bool
}

var (
	every    = []string{"get", "list", "create", "update", "patch", "delete"}
	writes   = []string{"create", "update", "patch", "delete"}
	connects = []string{"get", "create"}
	wanted   = []request{
		{"", "secrets", "", every, true},
		{"", "configmaps", "", every, true},
		{"authentication.k8s.io", "tokenreviews", "", []string{"create"}, true},
		{"", "pods", "", writes, false},
		{"apps", "deployments", "", writes, false},
		{"", "pods", "exec", connects, false},
		{"", "pods", "attach", connects, false},
		{"", "pods", "portforward", connects, false},
		{"", "pods", "proxy", connects, false},
		{"", "services", "proxy", connects, false},
	}
	// somebodies are of every kind for which a policy may have a rule.
	somebodies = []user.DefaultInfo{
		{Name: "somebody", Groups: []string{"system:authenticated"}},
		{Name: "admin", Groups: []string{"system:masters", "system:authenticated"}},
		{Name: "system:admin", Groups: []string{"system:masters", "system:authenticated"}},
		{Name: "system:serviceaccount:kube-system:default", Groups: []string{"system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"}},
		{Name: "system:node:server-0", Groups: []string{"system:nodes", "system:authenticated"}},
		{Name: "system:kube-proxy", Groups: []string{"system:authenticated"}},
		{Name: "alice", Groups: []string{"system:authenticated"}},
	}
	namespaces = []string{"default", "kube-system", "somewhere", ""}
)

// tellAudit asks the API server's own evaluator about the requests that the benchmark names, of every user and namespace.
func tellAudit(o options.CompletedOptions) {
	writesLog := o.Audit.LogOptions.Path != "" || o.Audit.WebhookOptions.ConfigFile != ""
	now.Met["audit-policy"], now.Met["audit-policy-coverage"] = false, false
	if o.Audit.PolicyFile == "" || !writesLog {
		return
	}
	loaded, err := policy.LoadPolicyFromFile(o.Audit.PolicyFile)
	if err != nil {
		return
	}
	evaluator := policy.NewPolicyRuleEvaluator(loaded)
	// Some rule records something; its own words say of what.
	for _, rule := range loaded.Rules {
		if rule.Level != auditapi.LevelNone && len(rule.OmitStages)+len(loaded.OmitStages) < stages {
			now.Met["audit-policy"] = true
		}
	}
	covered := true
	for _, one := range wanted {
		for _, verb := range one.verbs {
			for at := range somebodies {
				for _, namespace := range namespaces {
					config := evaluator.EvaluatePolicyRule(&authorizer.AttributesRecord{
						User: &somebodies[at], Verb: verb, Namespace: namespace, APIGroup: one.group, APIVersion: "v1",
						Resource: one.resource, Subresource: one.subresource, Name: "any", ResourceRequest: true,
					})
					secret := one.secret && (config.Level == auditapi.LevelRequest || config.Level == auditapi.LevelRequestResponse)
					if config.Level == auditapi.LevelNone || len(config.OmitStages) >= stages || secret {
						covered = false
					}
				}
			}
		}
	}
	now.Met["audit-policy-coverage"] = covered
}
