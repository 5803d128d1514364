// SPDX-License-Identifier: Apache-2.0
package main

import (
	"context"
	"flag"
	"io"
	"reflect"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation/field"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/klog/v2"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	proxyconfig "k8s.io/kubernetes/pkg/proxy/apis/config"
)

// askProxy goes as far as the validation of the configuration; what comes after is late.
func askProxy(_ context.Context, args []string, stage *string) error {
	s := proxy.NewOptions()
	flags := pflag.NewFlagSet("kube-proxy", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	s.AddFlags(flags)
	// kube-proxy takes over what its program has on Go's command line: in K3s klog's flags.
	if flag.Lookup("log_file") == nil {
		klog.InitFlags(flag.CommandLine)
	}
	flags.AddGoFlagSet(flag.CommandLine)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := refuseWords(flags); err != nil {
		return err
	}
	*stage = "complete"
	if err := s.Complete(flags); err != nil {
		return err
	}
	*stage = "logging"
	// The configuration is unexported.
	config := (*proxyconfig.KubeProxyConfiguration)(reflect.ValueOf(s).Elem().FieldByName("config").UnsafePointer())
	if err := logsapi.ValidateAndApplyAsField(&config.Logging, utilfeature.DefaultFeatureGate, field.NewPath("logging")); err != nil {
		return err
	}
	*stage = "validate"
	if err := s.Validate(); err != nil {
		return err
	}
	listen(config)
	*stage = late
	return readKubeconfig(config.ClientConnection.Kubeconfig)
}

// readKubeconfig reads a kubeconfig as the kubelet and kube-proxy do where they make their clients.
func readKubeconfig(file string) error {
	if file == "" {
		return nil
	}
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: file}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{}).ClientConfig()
	if err == nil {
		_, err = kubernetes.NewForConfig(config)
	}
	return err
}
