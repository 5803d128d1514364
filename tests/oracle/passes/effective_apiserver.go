// SPDX-License-Identifier: Apache-2.0
package main

import (
	"slices"
	_ "unsafe" // for go:linkname

	genericoptions "k8s.io/apiserver/pkg/server/options"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

//go:linkname enabledPluginNames k8s.io/apiserver/pkg/server/options.(*AdmissionOptions).enabledPluginNames
func enabledPluginNames(*genericoptions.AdmissionOptions) []string

// tellAPIServer judges the options that were read, and those that are complete. The first where the completion makes up for
// what is missing: a certificate of its own, a key for accounts.
func tellAPIServer(what any, question asked) {
	switch o := what.(type) {
	case *options.ServerRunOptions:
		now.Met["service-account-key-file"] = len(o.Authentication.ServiceAccounts.KeyFiles) > 0
		pair := o.SecureServing.ServerCert.CertKey
		now.Met["api-serving-certificate"] = pair.CertFile != "" && pair.KeyFile != ""
		now.Met["request-timeout"] = o.GenericServerRunOptions.RequestTimeout > 0
	case options.CompletedOptions:
		tellCompleted(o, question)
	}
}

func tellCompleted(o options.CompletedOptions, question asked) {
	met := now.Met
	met["api-anonymous-auth"] = !letsAnonymousIn(o)
	met["token-auth-file"] = o.Authentication.TokenFile.TokenFile == ""
	client := clientOf(o)
	met["kubelet-client-certificate"] = client[0] != "" && client[1] != ""
	met["kubelet-certificate-authority"] = client[2] != ""
	if modes, err := authorizers(o); err == nil {
		met["authorization-not-always-allow"] = !slices.Contains(modes, "AlwaysAllow")
		met["authorization-node"] = slices.Contains(modes, "Node")
		met["authorization-rbac"] = slices.Contains(modes, "RBAC")
	}
	plugins := enabledPluginNames(o.Admission.GenericAdmission)
	met["deny-service-external-ips"] = slices.Contains(plugins, "DenyServiceExternalIPs") != (question.Benchmark == "1.23" || question.Benchmark == "1.24")
	met["event-rate-limit"] = slices.Contains(plugins, "EventRateLimit")
	met["always-admit"] = !slices.Contains(plugins, "AlwaysAdmit")
	met["always-pull-images"] = slices.Contains(plugins, "AlwaysPullImages")
	met["service-account-plugin"] = slices.Contains(plugins, "ServiceAccount")
	met["namespace-lifecycle"] = slices.Contains(plugins, "NamespaceLifecycle")
	met["node-restriction"] = slices.Contains(plugins, "NodeRestriction")
	met["secure-port"] = o.SecureServing.BindPort != 0
	met["api-profiling"] = !o.Features.EnableProfiling
	log := o.Audit.LogOptions
	met["audit-log-path"] = log.Path != ""
	met["audit-log-maxage"] = log.MaxAge >= 30
	met["audit-log-maxbackup"] = log.MaxBackups >= 10
	met["audit-log-maxsize"] = log.MaxSize >= 100
	accounts := o.Authentication.ServiceAccounts
	met["service-account-lookup"] = accounts.Lookup
	met["service-account-extend-token-expiration"] = !accounts.ExtendExpiration
	etcd := o.Etcd.StorageConfig.Transport
	met["etcd-client-certificate"] = etcd.CertFile != "" && etcd.KeyFile != ""
	met["etcd-ca"] = etcd.TrustedCAFile != ""
	met["api-client-ca"] = o.Authentication.ClientCert.ClientCA != ""
	met["api-cipher-suites"] = isStrong(o.SecureServing.CipherSuites, o.SecureServing.MinTLSVersion)
	tellEncryption(o)
	tellAudit(o)
}

func clientOf(o options.CompletedOptions) [3]string {
	client := o.KubeletConfig.TLSClientConfig
	return [3]string{client.CertFile, client.KeyFile, client.CAFile}
}

// letsAnonymousIn tells whether anonymous requests are let in, to any path.
func letsAnonymousIn(o options.CompletedOptions) bool {
	config, err := o.Authentication.ToAuthenticationConfig()
	return err != nil || config.Anonymous.Enabled
}

// authorizers returns the kinds of all authorizers, in their order.
func authorizers(o options.CompletedOptions) ([]string, error) {
	config, err := o.Authorization.ToAuthorizationConfig(nil)
	if err != nil {
		return nil, err
	}
	var kinds []string
	for _, one := range config.AuthorizationConfiguration.Authorizers {
		kinds = append(kinds, string(one.Type))
	}
	return kinds, nil
}
