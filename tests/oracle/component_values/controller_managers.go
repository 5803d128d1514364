// SPDX-License-Identifier: Apache-2.0
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/cloud-provider/names"
	cloudoptions "k8s.io/cloud-provider/options"
	componentconfig "k8s.io/component-base/config"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	managerconfig "k8s.io/kubernetes/cmd/kube-controller-manager/app/config"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	netutils "k8s.io/utils/net"
)

// askControllerManager goes as far as the configuration with which the controllers would be started. The names of the
// controllers are in controllers.go.
func askControllerManager(ctx context.Context, args []string, stage *string) error {
	s, err := options.NewKubeControllerManagerOptions()
	if err != nil {
		return err
	}
	sets := s.Flags(knownControllers(), disabledControllers, controllerAliases)
	keepParsedFlags(s, &sets)
	if err := parse("kube-controller-manager", sets, args); err != nil {
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
	*stage = "validate"
	if err := s.Validate(knownControllers(), disabledControllers, controllerAliases); err != nil {
		return err
	}
	*stage = "config"
	// No API server answers here; in K3s one does.
	s.Authentication.TolerateInClusterLookupFailure = true
	config, err := managerConfig(ctx, s)
	if err != nil {
		return err
	}
	if config.SecureServing != nil {
		_ = config.SecureServing.Listener.Close()
	}
	if err := initCloud(config.ComponentConfig.KubeCloudShared); err != nil {
		return fmt.Errorf("error building controller context: %w", err)
	}
	listen(config)
	*stage = late
	if err := elect(config.ComponentConfig.Generic.LeaderElection, config.Kubeconfig); err != nil {
		return err
	}
	if err := maskOfNodes(config); err != nil {
		return err
	}
	return readControllerFiles(config)
}

// elect makes the elector of a leader, which the component does when it runs.
func elect(election componentconfig.LeaderElectionConfiguration, kubeconfig *rest.Config) error {
	if !election.LeaderElect {
		return nil
	}
	lock, err := resourcelock.NewFromKubeconfig(election.ResourceLock, election.ResourceNamespace, election.ResourceName,
		resourcelock.ResourceLockConfig{Identity: "server-0"}, kubeconfig, election.RenewDeadline.Duration)
	if err != nil {
		return err
	}
	_, err = leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: lock, LeaseDuration: election.LeaseDuration.Duration, RenewDeadline: election.RenewDeadline.Duration,
		RetryPeriod: election.RetryPeriod.Duration, Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) {}, OnStoppedLeading: func() {},
		},
	})
	return err
}

// maskOfNodes refuses a cluster CIDR that is smaller than the part of a node, as NewNodeIpamController of
// k8s.io/kubernetes/pkg/controller/nodeipam does with the sizes of setNodeCIDRMaskSizes (cmd/kube-controller-manager/app). What
// else these two refuse is not asked here.
func maskOfNodes(config *managerconfig.Config) error {
	shared, sizes := config.ComponentConfig.KubeCloudShared, config.ComponentConfig.NodeIPAMController
	if !shared.AllocateNodeCIDRs {
		return nil
	}
	cidrs := strings.Split(shared.ClusterCIDR, ",")
	for _, text := range cidrs {
		_, cidr, err := netutils.ParseCIDRSloppy(strings.TrimSpace(text))
		if err != nil {
			return nil
		}
		most, own := 24, sizes.NodeCIDRMaskSizeIPv4
		if netutils.IsIPv6CIDR(cidr) {
			most, own = 64, sizes.NodeCIDRMaskSizeIPv6
		}
		if len(cidrs) == 1 && sizes.NodeCIDRMaskSize != 0 {
			own = sizes.NodeCIDRMaskSize
		}
		if own != 0 {
			most = int(own)
		}
		if size, _ := cidr.Mask.Size(); size > most {
			return fmt.Errorf("Controller: Invalid --cluster-cidr, mask size of cluster CIDR must be less than or equal to --node-cidr-mask-size configured for CIDR family")
		}
	}
	return nil
}

// readControllerFiles reads what controllers read when they are started, which ends the component if it fails.
func readControllerFiles(config *managerconfig.Config) error {
	accounts := config.ComponentConfig.SAController
	if file := accounts.ServiceAccountKeyFile; file != "" {
		if _, err := keyutil.PrivateKeyFromFile(file); err != nil {
			return fmt.Errorf("error reading key for service account token controller: %w", err)
		}
	}
	if file := accounts.RootCAFile; file != "" {
		if _, err := certutil.CertsFromFile(file); err != nil {
			return fmt.Errorf("error parsing root-ca-file at %s: %w", file, err)
		}
	}
	signing := config.ComponentConfig.CSRSigningController
	for _, pair := range [][2]string{
		{signing.ClusterSigningCertFile, signing.ClusterSigningKeyFile},
		{signing.KubeletServingSignerConfiguration.CertFile, signing.KubeletServingSignerConfiguration.KeyFile},
		{signing.KubeletClientSignerConfiguration.CertFile, signing.KubeletClientSignerConfiguration.KeyFile},
		{signing.KubeAPIServerClientSignerConfiguration.CertFile, signing.KubeAPIServerClientSignerConfiguration.KeyFile},
		{signing.LegacyUnknownSignerConfiguration.CertFile, signing.LegacyUnknownSignerConfiguration.KeyFile},
	} {
		if pair[0] != "" && pair[1] != "" {
			if _, err := tls.LoadX509KeyPair(pair[0], pair[1]); err != nil {
				return fmt.Errorf("failed to init certificate controller: %w", err)
			}
		}
	}
	return nil
}

// ownCloud is the name of K3s' own cloud provider.
const ownCloud = "k3s"

// k3sCloud stands for it.
type k3sCloud struct {
	cloudprovider.Interface
	LBEnabled, NodeEnabled, Rootless                 bool
	LBDefaultPriorityClassName, LBImage, LBNamespace string
}

// K3s registers its provider with what reads its configuration (pkg/cloudprovider/cloudprovider.go of K3s).
func init() {
	cloudprovider.RegisterCloudProvider(ownCloud, func(config io.Reader) (cloudprovider.Interface, error) {
		cloud := &k3sCloud{LBEnabled: true, NodeEnabled: true}
		if config == nil {
			return cloud, nil
		}
		text, err := io.ReadAll(config)
		if err == nil {
			err = json.Unmarshal(text, cloud)
		}
		if !cloud.LBEnabled && !cloud.NodeEnabled {
			return nil, errors.New("all cloud-provider functionality disabled by config")
		}
		return cloud, err
	})
}

// askCloudControllerManager goes as far as the validation of the options; what comes after is late.
func askCloudControllerManager(_ context.Context, args []string, stage *string) error {
	s, err := cloudoptions.NewCloudControllerManagerOptions()
	if err != nil {
		return err
	}
	// DefaultInitFuncConstructors of k8s.io/cloud-provider/app.
	known := []string{
		names.CloudNodeController, names.CloudNodeLifecycleController, names.ServiceLBController, names.NodeRouteController,
	}
	aliases := names.CCMControllerAliases()
	sets := s.Flags(known, nil, aliases, nil, nil)
	logging := logs.NewOptions()
	logsapi.AddFlags(logging, sets.FlagSet("global"))
	if err := parse("cloud-controller-manager", sets, args); err != nil {
		return err
	}
	*stage = "logging"
	if err := logsapi.ValidateAndApply(logging, utilfeature.DefaultFeatureGate); err != nil {
		return err
	}
	*stage = "validate"
	if err := s.Validate(known, nil, aliases, nil, nil); err != nil {
		return err
	}
	*stage = late
	s.Authentication.TolerateInClusterLookupFailure = true
	config, err := s.Config(known, nil, aliases, nil, nil)
	if err != nil {
		return err
	}
	if config.SecureServing != nil {
		_ = config.SecureServing.Listener.Close()
	}
	// K3s takes its own provider, whatever the options name (CloudControllerManager in pkg/executor/embed/embed.go).
	file := config.ComponentConfig.KubeCloudShared.CloudProvider.CloudConfigFile
	if file != "" {
		// InitCloudProvider ends the process where it cannot open it.
		if _, err := os.Stat(file); err != nil {
			return err
		}
	}
	if _, err := cloudprovider.InitCloudProvider(ownCloud, file); err != nil {
		return err
	}
	return elect(config.ComponentConfig.Generic.LeaderElection, config.Kubeconfig)
}
