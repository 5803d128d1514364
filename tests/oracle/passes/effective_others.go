// SPDX-License-Identifier: Apache-2.0
package main

import (
	"net"

	managerconfig "k8s.io/kubernetes/cmd/kube-controller-manager/app/config"
	manageroptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	schedulerconfig "k8s.io/kubernetes/cmd/kube-scheduler/app/config"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
	kubeletoptions "k8s.io/kubernetes/cmd/kubelet/app/options"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	proxyconfig "k8s.io/kubernetes/pkg/proxy/apis/config"
)

func tellControllerManager(what any, _ asked) {
	switch o := what.(type) {
	case *manageroptions.KubeControllerManagerOptions:
		now.Met["controller-manager-bind-address"] = o.SecureServing.BindPort == 0 || o.SecureServing.BindAddress.IsLoopback()
	case *managerconfig.Config:
		config := o.ComponentConfig
		now.Met["terminated-pod-gc-threshold"] = config.PodGCController.TerminatedPodGCThreshold >= 1
		now.Met["controller-manager-profiling"] = !config.Generic.Debugging.EnableProfiling
		now.Met["service-account-credentials"] = config.KubeCloudShared.UseServiceAccountCredentials
		now.Met["service-account-private-key"] = config.SAController.ServiceAccountKeyFile != ""
		now.Met["root-ca"] = config.SAController.RootCAFile != ""
		now.Met["controller-manager-rotates-kubelet-certificates"] = isOn("RotateKubeletServerCertificate")
	}
}

func tellScheduler(what any, _ asked) {
	switch o := what.(type) {
	case *scheduleroptions.Options:
		now.Met["scheduler-bind-address"] = o.SecureServing.BindPort == 0 || o.SecureServing.BindAddress.IsLoopback()
	case schedulerconfig.CompletedConfig:
		now.Met["scheduler-profiling"] = !o.ComponentConfig.EnableProfiling
	}
}

// tellKubelet judges the configuration, and what is told by arguments alone.
func tellKubelet(what any, question asked) {
	switch o := what.(type) {
	case *kubeletconfig.KubeletConfiguration:
		tellConfiguration(o, question)
	case *kubeletoptions.KubeletFlags:
		// cmd/kubelet/app takes either.
		now.Met["kubelet-seccomp-default"] = now.Met["kubelet-seccomp-default"] || o.SeccompDefault
	}
}

func tellConfiguration(config *kubeletconfig.KubeletConfiguration, question asked) {
	met := now.Met
	met["kubelet-anonymous-auth"] = !config.Authentication.Anonymous.Enabled
	met["kubelet-authorization"] = config.Authorization.Mode != kubeletconfig.KubeletAuthorizationModeAlwaysAllow
	met["kubelet-checks-clients"] = config.Authentication.X509.ClientCAFile != ""
	met["kubelet-read-only-port"] = config.ReadOnlyPort == 0
	met["streaming-connection-idle-timeout"] = config.StreamingConnectionIdleTimeout.Duration > 0
	met["protect-kernel-defaults"] = config.ProtectKernelDefaults
	met["make-iptables-util-chains"] = config.MakeIPTablesUtilChains
	if question.Benchmark == "1.23" {
		met["event-qps"] = config.EventRecordQPS == 0
	} else {
		met["event-qps"] = config.EventRecordQPS >= 0
	}
	met["kubelet-serving-certificate"] = config.TLSCertFile != "" && config.TLSPrivateKeyFile != ""
	met["kubelet-rotates-serving-certificate"] = isOn("RotateKubeletServerCertificate")
	met["kubelet-cipher-suites"] = isStrong(config.TLSCipherSuites, config.TLSMinVersion)
	met["pod-max-pids"] = config.PodPidsLimit >= 1
	met["kubelet-seccomp-default"] = config.SeccompDefault
}

func tellProxy(what any, _ asked) {
	config, ok := what.(*proxyconfig.KubeProxyConfiguration)
	if !ok {
		return
	}
	host, _, err := net.SplitHostPort(config.MetricsBindAddress)
	now.Met["kube-proxy-metrics"] = config.MetricsBindAddress == "" || (err == nil && isLocal(host))
}
