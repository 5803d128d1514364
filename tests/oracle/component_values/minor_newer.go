// SPDX-License-Identifier: Apache-2.0
//go:build since_1_36

package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"

	"gopkg.in/evanphx/json-patch.v4"
	v1 "k8s.io/api/core/v1"
	genericapiserver "k8s.io/apiserver/pkg/server"
	serverstorage "k8s.io/apiserver/pkg/server/storage"
	"k8s.io/apiserver/pkg/util/compatibility"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/events"
	cloudconfig "k8s.io/cloud-provider/config"
	cliflag "k8s.io/component-base/cli/flag"
	basecompatibility "k8s.io/component-base/compatibility"
	nodeutil "k8s.io/component-helpers/node/util"
	"k8s.io/klog/v2"
	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"
	apiserveroptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	managerconfig "k8s.io/kubernetes/cmd/kube-controller-manager/app/config"
	manageroptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	"k8s.io/kubernetes/cmd/kube-controller-manager/names"
	schedulerconfig "k8s.io/kubernetes/cmd/kube-scheduler/app/config"
	kubeletoptions "k8s.io/kubernetes/cmd/kubelet/app/options"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	controlplaneadmission "k8s.io/kubernetes/pkg/controlplane/apiserver/admission"
	"k8s.io/kubernetes/pkg/credentialprovider/plugin"
	"k8s.io/kubernetes/pkg/features"
	kubeapiserveradmission "k8s.io/kubernetes/pkg/kubeapiserver/admission"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	conversion "k8s.io/kubernetes/pkg/kubelet/apis/config/v1beta1"
	kubeletcertificate "k8s.io/kubernetes/pkg/kubelet/certificate"
	"k8s.io/kubernetes/pkg/kubelet/cm/cpumanager"
	"k8s.io/kubernetes/pkg/kubelet/cm/memorymanager"
	"k8s.io/kubernetes/pkg/kubelet/kubeletconfig/configfiles"
	kubeletlogs "k8s.io/kubernetes/pkg/kubelet/logs"
	"k8s.io/kubernetes/pkg/kubelet/sysctl"
	"k8s.io/kubernetes/pkg/scheduler/profile"
	utilfs "k8s.io/kubernetes/pkg/util/filesystem"
	"k8s.io/utils/cpuset"
)

func init() {
	controllerAliases["svm"] = names.StorageVersionMigratorController
	disabledControllers = append(disabledControllers, names.SELinuxWarningController)
	unaliasedControllers = append(unaliasedControllers,
		names.DeviceTaintEvictionController,
		names.KubeAPIServerClusterTrustBundlePublisherController,
		names.PodCertificateRequestCleanerController,
		names.PodGroupProtectionController,
		names.ResourcePoolStatusRequestController,
		names.SELinuxWarningController,
		names.VolumeAttributesClassProtectionController,
	)
}

func setGates() error {
	return compatibility.DefaultComponentGlobalsRegistry.Set()
}

func complete(ctx context.Context, s *apiserveroptions.ServerRunOptions) (apiserveroptions.CompletedOptions, error) {
	return s.Complete(ctx)
}

func keepParsedFlags(s *manageroptions.KubeControllerManagerOptions, sets *cliflag.NamedFlagSets) {
	s.ParsedFlags = sets
}

func managerConfig(ctx context.Context, s *manageroptions.KubeControllerManagerOptions) (*managerconfig.Config, error) {
	return s.Config(ctx, knownControllers(), disabledControllers, controllerAliases)
}

// initCloud accepts all: the options' validation leaves no provider.
func initCloud(cloudconfig.KubeCloudSharedConfiguration) error {
	return nil
}

func eventRecorders(config *schedulerconfig.CompletedConfig) profile.RecorderFactory {
	return func(name string) events.EventRecorderLogger { return config.EventBroadcaster.NewRecorder(name) }
}

func load(ctx context.Context, loader configfiles.Loader) (*kubeletconfig.KubeletConfiguration, error) {
	return loader.Load(ctx)
}

func applyAdmission(options apiserveroptions.CompletedOptions, config *genericapiserver.Config, shared informers.SharedInformerFactory, storage *serverstorage.DefaultStorageFactory, client kubernetes.Interface, dynamicClient dynamic.Interface) error {
	generic := controlplaneadmission.Config{
		ExternalInformers: shared, LoopbackClientConfig: config.LoopbackClientConfig, APIResourceConfig: storage.APIResourceConfigSource,
	}
	initializers, err := generic.New(&http.Transport{}, config.EgressSelector, nil, config.TracerProvider)
	if err != nil {
		return err
	}
	own, err := (&kubeapiserveradmission.Config{}).New()
	if err != nil {
		return err
	}
	version := compatibility.DefaultComponentGlobalsRegistry.EffectiveVersionFor(basecompatibility.DefaultKubeComponent)
	return options.Admission.ApplyTo(config, shared, client, dynamicClient, utilfeature.DefaultFeatureGate, version, append(initializers, own...)...)
}

func checkPodLogs(config *kubeletconfig.KubeletConfiguration) error {
	if config.PodLogsDir == "" {
		return errors.New("pod logs root directory is empty")
	}
	return nil
}

// mergeDropIns is mergeKubeletConfigurations of cmd/kubelet/app.
func mergeDropIns(config *kubeletconfig.KubeletConfiguration, folder string) error {
	versioned := &kubeletv1beta1.KubeletConfiguration{}
	if err := conversion.Convert_config_KubeletConfiguration_To_v1beta1_KubeletConfiguration(config, versioned, nil); err != nil {
		return err
	}
	merged, err := json.Marshal(versioned)
	if err != nil {
		return err
	}
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(entry.Name()) != ".conf" {
			return err
		}
		loader, err := configfiles.NewFsLoader(&utilfs.DefaultFs{}, path)
		if err != nil {
			return err
		}
		patch, kind, err := loader.LoadIntoJSON()
		if err != nil {
			return fmt.Errorf("failed to load kubelet dropin file, path: %s, error: %w", path, err)
		}
		if kind == nil || kind.Empty() {
			return fmt.Errorf("drop-in %s: no apiVersion/kind", path)
		}
		if *kind != kubeletv1beta1.SchemeGroupVersion.WithKind("KubeletConfiguration") {
			return fmt.Errorf("drop-in %s: unknown apiVersion/kind: %v", path, kind)
		}
		if merged, err = jsonpatch.MergePatch(merged, patch); err != nil {
			return fmt.Errorf("failed to merge: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	versioned = &kubeletv1beta1.KubeletConfiguration{}
	if err := json.Unmarshal(merged, versioned); err != nil {
		return fmt.Errorf("failed to unmarshal merged JSON: %w", err)
	}
	conversion.SetDefaults_KubeletConfiguration(versioned)
	return conversion.Convert_v1beta1_KubeletConfiguration_To_config_KubeletConfiguration(versioned, config, nil)
}

func checkCurves(config *kubeletconfig.KubeletConfiguration) error {
	_, err := cliflag.TLSCurvePreferences(config.TLSCurvePreferences)
	return err
}

func checkNodeIP(own *kubeletoptions.KubeletFlags) error {
	_, _, err := nodeutil.ParseNodeIPArgument(own.NodeIP, own.CloudProvider)
	return err
}

func newLogManager(config *kubeletconfig.KubeletConfiguration) error {
	_, err := kubeletlogs.NewContainerLogManager(nil, nil, config.ContainerLogMaxSize, int(config.ContainerLogMaxFiles),
		int(config.ContainerLogMaxWorkers), config.ContainerLogMonitorInterval)
	return err
}

// checkServing loads the certificate as NewMainKubelet does.
func checkServing(config *kubeletconfig.KubeletConfiguration) error {
	if config.ServerTLSBootstrap && utilfeature.DefaultFeatureGate.Enabled(features.RotateKubeletServerCertificate) {
		return nil
	}
	cert, key := config.TLSCertFile, config.TLSPrivateKeyFile
	if cert == "" || key == "" {
		return nil
	}
	if utilfeature.DefaultFeatureGate.Enabled(features.ReloadKubeletServerCertificateFile) {
		_, err := kubeletcertificate.NewKubeletServerCertificateDynamicFileManager(cert, key)
		return err
	}
	_, err := tls.LoadX509KeyPair(cert, key)
	return err
}

func registerCredentialProviders(own *kubeletoptions.KubeletFlags) error {
	if own.ImageCredentialProviderConfigPath == "" && own.ImageCredentialProviderBinDir == "" {
		return nil
	}
	return plugin.RegisterCredentialProviderPlugins(own.ImageCredentialProviderConfigPath, own.ImageCredentialProviderBinDir, nil, nil)
}

func safeSysctls(ctx context.Context) []string {
	return sysctl.SafeSysctlAllowlist(ctx)
}

func newManagers(logger klog.Logger, config *kubeletconfig.KubeletConfiguration, machine *machineInfo, reserved cpuset.CPUSet, reservation v1.ResourceList) error {
	topology, err := newTopologyManager(logger, config, machine)
	if err != nil {
		return err
	}
	if _, err := cpumanager.NewManager(logger, config.CPUManagerPolicy, config.CPUManagerPolicyOptions, config.CPUManagerReconcilePeriod.Duration, machine, reserved, reservation, kubeletState, topology); err != nil {
		return err
	}
	_, err = memorymanager.NewManager(logger, config.MemoryManagerPolicy, machine, reservation, config.ReservedMemory, kubeletState, topology)
	return err
}

func allResources() *serverstorage.ResourceConfig {
	resources := serverstorage.NewResourceConfig()
	resources.EnableVersions(legacyscheme.Scheme.PrioritizedVersionsAllGroups()...)
	return resources
}
