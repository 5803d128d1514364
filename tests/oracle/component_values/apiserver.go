// SPDX-License-Identifier: Apache-2.0
package main

import (
	"context"
	"fmt"
	"slices"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apimachinery/pkg/runtime"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/keyutil"
	logsapi "k8s.io/component-base/logs/api/v1"
	aggregator "k8s.io/kube-aggregator/pkg/apiserver/scheme"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/controlplane/reconcilers"
	kubeletclient "k8s.io/kubernetes/pkg/kubelet/client"
)

func init() {
	// Each command registers these, and panics if somebody else did with other values.
	must(logsapi.AddFeatureGates(utilfeature.DefaultMutableFeatureGate))
}

// askAPIServer does what cmd/kube-apiserver/app does before it makes the servers: the certificates are loaded;
// authentication, authorization, audit, egress, tracing and encryption are set up; admission plugins are made.
func askAPIServer(ctx context.Context, args []string, stage *string) error {
	s := options.NewServerRunOptions()
	sets := s.Flags()
	addCustomGlobalFlags(sets.FlagSet("generic"))
	sets.FlagSet("k3s").Int("advertise-port", 0, "K3s' own")
	if err := parse("kube-apiserver", sets, args); err != nil {
		return err
	}
	listen(s)
	*stage = "gates"
	if err := setGates(); err != nil {
		return err
	}
	*stage = "logging"
	if err := logsapi.ValidateAndApply(s.Logs, utilfeature.DefaultFeatureGate); err != nil {
		return err
	}
	*stage = "complete"
	completed, err := complete(ctx, s)
	if err != nil {
		return err
	}
	*stage = "validate"
	if errs := completed.Validate(); len(errs) != 0 {
		return utilerrors.NewAggregate(errs)
	}
	*stage = "config"
	schemes := []*runtime.Scheme{legacyscheme.Scheme, apiextensions.Scheme, aggregator.Scheme}
	config, err := buildConfig(completed, schemes)
	if config != nil && config.SecureServing != nil {
		_ = config.SecureServing.Listener.Close()
	}
	if err != nil {
		return err
	}
	*stage = "serve"
	if err := checkReconciler(completed.EndpointReconcilerType); err != nil {
		return err
	}
	listen(completed)
	*stage = late
	return readClientFiles(completed)
}

// checkReconciler is createEndpointReconciler of pkg/controlplane, which ends the process.
func checkReconciler(name string) error {
	if kind := reconcilers.Type(name); kind == "" || slices.Contains(reconcilers.AllTypes, kind) {
		return nil
	}
	return fmt.Errorf("reconciler not implemented: %v", name)
}

// readClientFiles reads the certificates with which the servers ask etcd, kubelets and aggregated servers, which they do
// where they are made.
func readClientFiles(options options.CompletedOptions) error {
	etcd := options.Etcd.StorageConfig.Transport
	info := transport.TLSInfo{CertFile: etcd.CertFile, KeyFile: etcd.KeyFile, TrustedCAFile: etcd.TrustedCAFile}
	if _, err := info.ClientConfig(); err != nil {
		return err
	}
	if _, err := kubeletclient.MakeTransport(&options.KubeletConfig); err != nil {
		return err
	}
	if cert, key := options.ProxyClientCertFile, options.ProxyClientKeyFile; cert != "" && key != "" {
		_, err := dynamiccertificates.NewDynamicServingContentFromFiles("aggregator-proxy-cert", cert, key)
		return err
	}
	return nil
}

// buildConfig does what CreateKubeAPIServerConfig of cmd/kube-apiserver/app does with values. It asks no etcd, which a
// newer one does to find other servers.
func buildConfig(options options.CompletedOptions, schemes []*runtime.Scheme) (*genericapiserver.Config, error) {
	config, informers, storage, err := buildGeneric(options, schemes)
	if err != nil {
		return config, err
	}
	if _, err := options.Authentication.ClientCert.GetClientCAContentProvider(); err != nil {
		return config, err
	}
	if _, err := options.Authentication.RequestHeader.ToAuthenticationRequestHeaderConfig(); err != nil {
		return config, err
	}
	client, err := kubernetes.NewForConfig(config.LoopbackClientConfig)
	if err != nil {
		return config, err
	}
	dynamicClient, err := dynamic.NewForConfig(config.LoopbackClientConfig)
	if err != nil {
		return config, err
	}
	if err := applyAdmission(options, config, informers, storage, client, dynamicClient); err != nil {
		return config, fmt.Errorf("failed to apply admission: %w", err)
	}
	for _, file := range options.Authentication.ServiceAccounts.KeyFiles {
		if _, err := keyutil.PublicKeysFromFile(file); err != nil {
			return config, fmt.Errorf("failed to parse key file %q: %w", file, err)
		}
	}
	return config, nil
}
