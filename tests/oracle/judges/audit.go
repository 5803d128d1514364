// SPDX-License-Identifier: Apache-2.0
// The audit policy: loaded and asked as the API server does it.
package main

import (
	"strings"

	auditapi "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit/policy"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// stages are all that an event can be written at.
const stages = 4

func judgeAudit(text string) answer {
	var loaded *auditapi.Policy
	var err error
	dropped := warnings(func() { loaded, err = policy.LoadPolicyFromBytes([]byte(text)) })
	if err != nil {
		return failed(err)
	}
	if dropped == "" {
		dropped = unread(text)
	}
	a := answer{Dropped: dropped}
	rules := policy.NewPolicyRuleEvaluator(loaded)
	for _, rule := range loaded.Rules {
		for _, request := range requests(rule) {
			config := rules.EvaluatePolicyRule(&request)
			if config.Level != auditapi.LevelNone && len(config.OmitStages) < stages {
				a.Effect = true
			}
		}
	}
	return a
}

// requests returns some that a rule speaks of: of every user, verb, namespace and so on that it names.
func requests(rule auditapi.PolicyRule) []authorizer.AttributesRecord {
	var all []authorizer.AttributesRecord
	for _, name := range or(rule.Users, "somebody") {
		for _, group := range or(rule.UserGroups, "system:authenticated") {
			who := &user.DefaultInfo{Name: name, Groups: []string{group}}
			for _, verb := range or(rule.Verbs, "get", "create") {
				for _, path := range or(rule.NonResourceURLs, "/healthz") {
					all = append(all, authorizer.AttributesRecord{User: who, Verb: verb, Path: path})
				}
				for _, namespace := range or(rule.Namespaces, "default", "") {
					for _, resource := range resources(rule) {
						resource.User, resource.Verb, resource.Namespace = who, verb, namespace
						all = append(all, resource)
					}
				}
			}
		}
	}
	return all
}

func resources(rule auditapi.PolicyRule) []authorizer.AttributesRecord {
	groups := rule.Resources
	if len(groups) == 0 {
		groups = []auditapi.GroupResources{{Group: ""}}
	}
	var all []authorizer.AttributesRecord
	for _, group := range groups {
		for _, resource := range or(group.Resources, "secrets") {
			for _, name := range or(group.ResourceNames, "any") {
				plain, sub, _ := strings.Cut(resource, "/")
				all = append(all, authorizer.AttributesRecord{
					APIGroup: group.Group, APIVersion: "v1", Resource: plain, Subresource: sub, Name: name,
					ResourceRequest: true,
				})
			}
		}
	}
	return all
}

func or(given []string, otherwise ...string) []string {
	if len(given) > 0 {
		return given
	}
	return otherwise
}
