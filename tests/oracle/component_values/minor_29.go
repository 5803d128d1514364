// SPDX-License-Identifier: Apache-2.0
//go:build !since_1_30

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"

	machineapi "github.com/google/cadvisor/info/v1"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	genericapiserver "k8s.io/apiserver/pkg/server"
	serverstorage "k8s.io/apiserver/pkg/server/storage"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/events"
	cloudprovider "k8s.io/cloud-provider"
	cloudconfig "k8s.io/cloud-provider/config"
	cliflag "k8s.io/component-base/cli/flag"
	nodeutil "k8s.io/component-helpers/node/util"
	"k8s.io/klog/v2"
	apiserveroptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	managerconfig "k8s.io/kubernetes/cmd/kube-controller-manager/app/config"
	manageroptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	schedulerconfig "k8s.io/kubernetes/cmd/kube-scheduler/app/config"
	kubeletoptions "k8s.io/kubernetes/cmd/kubelet/app/options"
	controlplane "k8s.io/kubernetes/pkg/controlplane/apiserver"
	"k8s.io/kubernetes/pkg/credentialprovider/plugin"
	"k8s.io/kubernetes/pkg/features"
	openapi "k8s.io/kubernetes/pkg/generated/openapi"
	kubeapiserveradmission "k8s.io/kubernetes/pkg/kubeapiserver/admission"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	"k8s.io/kubernetes/pkg/kubelet/cm/cpumanager"
	"k8s.io/kubernetes/pkg/kubelet/cm/memorymanager"
	"k8s.io/kubernetes/pkg/kubelet/cm/topologymanager"
	"k8s.io/kubernetes/pkg/kubelet/kubeletconfig/configfiles"
	kubeletlogs "k8s.io/kubernetes/pkg/kubelet/logs"
	"k8s.io/kubernetes/pkg/kubelet/sysctl"
	"k8s.io/kubernetes/pkg/scheduler/profile"
	"k8s.io/utils/cpuset"
)

type (
	machineInfo = machineapi.MachineInfo
	machineCore = machineapi.Core
	machineNode = machineapi.Node
)

func newManagers(logger klog.Logger, config *kubeletconfig.KubeletConfiguration, machine *machineInfo, reserved cpuset.CPUSet, reservation v1.ResourceList) error {
	if !utilfeature.DefaultFeatureGate.Enabled(features.CPUManagerPolicyOptions) && config.CPUManagerPolicyOptions != nil {
		return fmt.Errorf("CPU Manager policy options %v require feature gates", config.CPUManagerPolicyOptions)
	}
	if !utilfeature.DefaultFeatureGate.Enabled(features.TopologyManagerPolicyOptions) && config.TopologyManagerPolicyOptions != nil {
		return fmt.Errorf("topology manager policy options %v require feature gates", config.TopologyManagerPolicyOptions)
	}
	topology, err := topologymanager.NewManager(machine.Topology, config.TopologyManagerPolicy, config.TopologyManagerScope, config.TopologyManagerPolicyOptions)
	if err != nil {
		return err
	}
	if _, err := cpumanager.NewManager(config.CPUManagerPolicy, config.CPUManagerPolicyOptions, config.CPUManagerReconcilePeriod.Duration, machine, reserved, reservation, kubeletState, topology); err != nil {
		return err
	}
	if !utilfeature.DefaultFeatureGate.Enabled(features.MemoryManager) {
		return nil
	}
	_, err = memorymanager.NewManager(config.MemoryManagerPolicy, machine, reservation, config.ReservedMemory, kubeletState, topology)
	return err
}

func buildGeneric(options apiserveroptions.CompletedOptions, schemes []*runtime.Scheme) (*genericapiserver.Config, informers.SharedInformerFactory, *serverstorage.DefaultStorageFactory, error) {
	return controlplane.BuildGenericConfig(options.CompletedOptions, schemes, openapi.GetOpenAPIDefinitions)
}

func applyAdmission(options apiserveroptions.CompletedOptions, config *genericapiserver.Config, shared informers.SharedInformerFactory, _ *serverstorage.DefaultStorageFactory, client kubernetes.Interface, dynamicClient dynamic.Interface) error {
	own := &kubeapiserveradmission.Config{
		CloudConfigFile: options.CloudProvider.CloudConfigFile, ExternalInformers: shared, LoopbackClientConfig: config.LoopbackClientConfig,
	}
	initializers, _, err := own.New(&http.Transport{}, config.EgressSelector, nil, config.TracerProvider)
	if err != nil {
		return err
	}
	return options.Admission.ApplyTo(config, shared, client, dynamicClient, utilfeature.DefaultFeatureGate, initializers...)
}

// checkPodLogs accepts all: this minor has no such field.
func checkPodLogs(*kubeletconfig.KubeletConfiguration) error {
	return nil
}

// roundCPU does nothing before 1.37.
func roundCPU(*resource.Quantity) {}

// setGates does nothing: the flag itself sets the gates.
func setGates() error {
	return nil
}

func complete(_ context.Context, s *apiserveroptions.ServerRunOptions) (apiserveroptions.CompletedOptions, error) {
	return s.Complete()
}

func keepParsedFlags(*manageroptions.KubeControllerManagerOptions, *cliflag.NamedFlagSets) {}

func managerConfig(_ context.Context, s *manageroptions.KubeControllerManagerOptions) (*managerconfig.Config, error) {
	return s.Config(knownControllers(), disabledControllers, controllerAliases)
}

// initCloud is createCloudProvider of cmd/kube-controller-manager/app.
func initCloud(shared cloudconfig.KubeCloudSharedConfiguration) error {
	name := shared.CloudProvider.Name
	if utilfeature.DefaultFeatureGate.Enabled(features.DisableCloudProviders) && cloudprovider.IsDeprecatedInternal(name) {
		return fmt.Errorf("cloud provider %q was specified, but built-in cloud providers are disabled", name)
	}
	if cloudprovider.IsExternal(name) {
		name = shared.ExternalCloudVolumePlugin
	}
	cloud, err := cloudprovider.InitCloudProvider(name, shared.CloudProvider.CloudConfigFile)
	if err != nil {
		return fmt.Errorf("cloud provider could not be initialized: %w", err)
	}
	if cloud != nil && !shared.AllowUntaggedCloud {
		// K3s' own has no id of a cluster.
		return errors.New("no ClusterID Found")
	}
	return nil
}

func eventRecorders(config *schedulerconfig.CompletedConfig) profile.RecorderFactory {
	return func(name string) events.EventRecorder { return config.EventBroadcaster.NewRecorder(name) }
}

func load(_ context.Context, loader configfiles.Loader) (*kubeletconfig.KubeletConfiguration, error) {
	return loader.Load()
}

// mergeDropIns refuses a folder: K3s does not set the variable that the kubelet wants for it.
func mergeDropIns(_ *kubeletconfig.KubeletConfiguration, folder string) error {
	return errors.New("flag " + folder + " specified but environment variable KUBELET_CONFIG_DROPIN_DIR_ALPHA not set")
}

// checkCurves accepts all: this minor has no such field.
func checkCurves(*kubeletconfig.KubeletConfiguration) error {
	return nil
}

func checkNodeIP(own *kubeletoptions.KubeletFlags) error {
	dualStack := utilfeature.DefaultFeatureGate.Enabled(features.CloudDualStackNodeIPs)
	_, err := nodeutil.ParseNodeIPArgument(own.NodeIP, own.CloudProvider, dualStack)
	return err
}

func newLogManager(config *kubeletconfig.KubeletConfiguration) error {
	_, err := kubeletlogs.NewContainerLogManager(nil, nil, config.ContainerLogMaxSize, int(config.ContainerLogMaxFiles))
	return err
}

// checkServing loads the certificate as ListenAndServeKubeletServer does where the kubelet serves: it ends the process.
func checkServing(config *kubeletconfig.KubeletConfiguration) error {
	cert, key := config.TLSCertFile, config.TLSPrivateKeyFile
	rotates := config.ServerTLSBootstrap && utilfeature.DefaultFeatureGate.Enabled(features.RotateKubeletServerCertificate)
	// Without both, InitializeTLS makes a certificate, or the cluster does.
	if !config.EnableServer || (cert == "" && key == "" && (rotates || !config.ServerTLSBootstrap)) {
		return nil
	}
	_, err := tls.LoadX509KeyPair(cert, key)
	return err
}

func registerCredentialProviders(own *kubeletoptions.KubeletFlags) error {
	if own.ImageCredentialProviderConfigFile == "" && own.ImageCredentialProviderBinDir == "" {
		return nil
	}
	return plugin.RegisterCredentialProviderPlugins(own.ImageCredentialProviderConfigFile, own.ImageCredentialProviderBinDir)
}

func safeSysctls(context.Context) []string {
	return sysctl.SafeSysctlAllowlist()
}
