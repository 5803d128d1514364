// The audit policy: loaded and asked as the API server does it.
package main

import (
	auditapi "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit/policy"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// requests are of the kinds that a rule can speak of.
var requests = []authorizer.AttributesRecord{
	{Verb: "get", APIVersion: "v1", Resource: "secrets", Namespace: "default", Name: "s", ResourceRequest: true, Path: "/api/v1/namespaces/default/secrets/s"},
	{Verb: "list", APIVersion: "v1", Resource: "nodes", ResourceRequest: true, Path: "/api/v1/nodes"},
	{Verb: "create", APIVersion: "v1", Resource: "pods", Namespace: "default", ResourceRequest: true, Path: "/api/v1/namespaces/default/pods"},
	{Verb: "delete", APIGroup: "apps", APIVersion: "v1", Resource: "deployments", Namespace: "kube-system", Name: "d", ResourceRequest: true, Path: "/apis/apps/v1/namespaces/kube-system/deployments/d"},
	{Verb: "get", Path: "/healthz"},
}

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
	for _, request := range requests {
		request.User = &user.DefaultInfo{Name: "alice", Groups: []string{"system:authenticated"}}
		config := rules.EvaluatePolicyRule(&request)
		if config.Level != auditapi.LevelNone && len(config.OmitStages) < stages {
			a.Effect = true
		}
	}
	return a
}
