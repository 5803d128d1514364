// SPDX-License-Identifier: Apache-2.0
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	_ "unsafe" // for go:linkname

	"github.com/spf13/pflag"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	cliflag "k8s.io/component-base/cli/flag"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/cmd/kubelet/app/options"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	"k8s.io/kubernetes/pkg/kubelet/apis/config/validation"
	"k8s.io/kubernetes/pkg/kubelet/cm"
	"k8s.io/kubernetes/pkg/kubelet/eviction"
	evictionapi "k8s.io/kubernetes/pkg/kubelet/eviction/api"
	"k8s.io/kubernetes/pkg/kubelet/kubeletconfig/configfiles"
	"k8s.io/kubernetes/pkg/kubelet/stats/pidlimit"
	"k8s.io/kubernetes/pkg/kubelet/sysctl"
	utilfs "k8s.io/kubernetes/pkg/util/filesystem"
	"k8s.io/utils/cpuset"
)

//go:linkname hardEvictionReservation k8s.io/kubernetes/pkg/kubelet/cm.hardEvictionReservation
func hardEvictionReservation(thresholds []evictionapi.Threshold, capacity v1.ResourceList) v1.ResourceList

// askKubelet does what cmd/kubelet/app does with arguments and files, then what the start refuses by values alone.
func askKubelet(ctx context.Context, args []string, stage *string) error {
	flags := pflag.NewFlagSet("kubelet", pflag.ContinueOnError)
	flags.SetNormalizeFunc(cliflag.WordSepNormalizeFunc)
	flags.SetOutput(io.Discard)
	own := options.NewKubeletFlags()
	config, err := options.NewKubeletConfiguration()
	if err != nil {
		return err
	}
	own.AddFlags(flags)
	options.AddKubeletConfigFlags(flags, config)
	options.AddGlobalFlags(flags)
	flags.BoolP("help", "h", false, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if words := flags.Args(); len(words) > 0 {
		return fmt.Errorf("unknown command %s", words[0])
	}
	*stage = "gates"
	if err := utilfeature.DefaultMutableFeatureGate.SetFromMap(config.FeatureGates); err != nil {
		return err
	}
	*stage = "validate-flags"
	if err := options.ValidateKubeletFlags(own); err != nil {
		return err
	}
	*stage = "config-file"
	if len(own.KubeletConfigFile) > 0 {
		if config, err = loadConfigFile(ctx, own.KubeletConfigFile); err != nil {
			return err
		}
	}
	*stage = "drop-ins"
	if len(own.KubeletDropinConfigDirectory) > 0 {
		if err = mergeDropIns(config, own.KubeletDropinConfigDirectory); err != nil {
			return err
		}
	}
	if len(own.KubeletConfigFile) > 0 || len(own.KubeletDropinConfigDirectory) > 0 {
		if err := kubeletConfigFlagPrecedence(config, args); err != nil {
			return err
		}
		if err := utilfeature.DefaultMutableFeatureGate.SetFromMap(config.FeatureGates); err != nil {
			return err
		}
	}
	*stage = "logging"
	if err := logsapi.ValidateAndApplyAsField(&config.Logging, utilfeature.DefaultFeatureGate, field.NewPath("logging")); err != nil {
		return err
	}
	*stage = "validate"
	if err := validation.ValidateKubeletConfiguration(config, utilfeature.DefaultFeatureGate); err != nil {
		return err
	}
	*stage = "run"
	if err := startKubelet(ctx, own, config); err != nil {
		return err
	}
	listen(config)
	listen(own)
	*stage = late
	if own.BootstrapKubeconfig != "" {
		return nil
	}
	return readKubeconfig(own.KubeConfig)
}

// startKubelet calls what the kubelet's start calls of itself and what depends on values alone.
func startKubelet(ctx context.Context, own *options.KubeletFlags, config *kubeletconfig.KubeletConfiguration) error {
	if _, err := cliflag.TLSCipherSuites(config.TLSCipherSuites); err != nil {
		return err
	}
	if _, err := cliflag.TLSVersion(config.TLSMinVersion); err != nil {
		return err
	}
	if err := checkCurves(config); err != nil {
		return err
	}
	if file := config.Authentication.X509.ClientCAFile; file != "" {
		if _, err := dynamiccertificates.NewDynamicCAContentFromFile("client-ca-bundle", file); err != nil {
			return err
		}
	}
	switch config.Authorization.Mode {
	case kubeletconfig.KubeletAuthorizationModeAlwaysAllow, kubeletconfig.KubeletAuthorizationModeWebhook:
	default:
		return fmt.Errorf("unknown authorization mode %s", config.Authorization.Mode)
	}
	if own.ExitOnLockContention && own.LockFilePath == "" {
		return errors.New("cannot exit on lock file contention: no lock file specified")
	}
	var reserved cpuset.CPUSet
	if config.ReservedSystemCPUs != "" {
		var err error
		if reserved, err = cpuset.Parse(config.ReservedSystemCPUs); err != nil {
			return fmt.Errorf("unable to parse reserved-cpus list: %w", err)
		}
	}
	if reserved.Size() > 0 {
		delete(config.KubeReserved, "cpu")
		if config.SystemReserved == nil {
			config.SystemReserved = map[string]string{}
		}
		config.SystemReserved["cpu"] = fmt.Sprint(reserved.Size())
	}
	kubeReserved, err := parseResourceList(config.KubeReserved)
	if err != nil {
		return fmt.Errorf("--kube-reserved value failed to parse: %w", err)
	}
	systemReserved, err := parseResourceList(config.SystemReserved)
	if err != nil {
		return fmt.Errorf("--system-reserved value failed to parse: %w", err)
	}
	var hard []evictionapi.Threshold
	if !own.ExperimentalNodeAllocatableIgnoreEvictionThreshold {
		if hard, err = eviction.ParseThresholdConfig([]string{}, config.EvictionHard, nil, nil, nil); err != nil {
			return err
		}
	}
	if _, err := cm.ParseQOSReserved(config.QOSReserved); err != nil {
		return fmt.Errorf("--qos-reserved value failed to parse: %w", err)
	}
	capacity := v1.ResourceList{v1.ResourceCPU: resource.MustParse("4"), v1.ResourceMemory: resource.MustParse("8Gi")}
	kept := hardEvictionReservation(hard, capacity)
	reservation := v1.ResourceList{}
	for name := range capacity {
		value := resource.Quantity{}
		for _, list := range []v1.ResourceList{systemReserved, kubeReserved, kept} {
			value.Add(list[name])
		}
		if !value.IsZero() {
			reservation[name] = value
		}
	}
	must(os.MkdirAll(kubeletState, 0o755))
	if err := newManagers(klog.FromContext(ctx), config, machine(), reserved, reservation); err != nil {
		return err
	}
	if err := checkNodeIP(own); err != nil {
		return fmt.Errorf("bad --node-ip %q: %w", own.NodeIP, err)
	}
	if own.RootDirectory == "" {
		return errors.New("invalid root directory")
	}
	if err := checkPodLogs(config); err != nil {
		return err
	}
	if config.SyncFrequency.Duration <= 0 {
		return fmt.Errorf("invalid sync frequency %d", config.SyncFrequency.Duration)
	}
	if own.CloudProvider != "" && own.CloudProvider != "external" {
		return fmt.Errorf("cloud provider %q was specified, but built-in cloud providers are disabled", own.CloudProvider)
	}
	enforce := config.EnforceNodeAllocatable
	if own.ExperimentalNodeAllocatableIgnoreEvictionThreshold {
		enforce = nil
	}
	if _, err := eviction.ParseThresholdConfig(enforce, config.EvictionHard, config.EvictionSoft, config.EvictionSoftGracePeriod, config.EvictionMinimumReclaim); err != nil {
		return err
	}
	switch config.ConfigMapAndSecretChangeDetectionStrategy {
	case kubeletconfig.WatchChangeDetectionStrategy, kubeletconfig.TTLCacheChangeDetectionStrategy, kubeletconfig.GetChangeDetectionStrategy:
	default:
		return fmt.Errorf("unknown configmap and secret manager mode: %v", config.ConfigMapAndSecretChangeDetectionStrategy)
	}
	if err := newLogManager(config); err != nil {
		return fmt.Errorf("failed to initialize container log manager: %w", err)
	}
	if _, err := sysctl.NewAllowlist(append(safeSysctls(ctx), config.AllowedUnsafeSysctls...)); err != nil {
		return err
	}
	// What follows ends the kubelet once the container runtime answers.
	if err := checkServing(config); err != nil {
		return fmt.Errorf("failed to serve: %w", err)
	}
	return registerCredentialProviders(own)
}

// The functions that follow are unexported in cmd/kubelet/app, whose import would build all of the kubelet.

func loadConfigFile(ctx context.Context, name string) (*kubeletconfig.KubeletConfiguration, error) {
	loader, err := configfiles.NewFsLoader(&utilfs.DefaultFs{}, name)
	if err != nil {
		return nil, err
	}
	config, err := load(ctx, loader)
	if err == nil && config.EvictionHard == nil {
		config.EvictionHard = eviction.DefaultEvictionHard
	}
	return config, err
}

// kubeletConfigFlagPrecedence reads the arguments once more, over the configuration of files.
func kubeletConfigFlagPrecedence(config *kubeletconfig.KubeletConfiguration, args []string) error {
	globals := pflag.NewFlagSet("", pflag.ContinueOnError)
	globals.SetNormalizeFunc(cliflag.WordSepNormalizeFunc)
	options.AddGlobalFlags(globals)
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.SetNormalizeFunc(cliflag.WordSepNormalizeFunc)
	globals.VisitAll(func(f *pflag.Flag) { flags.VarP(cliflag.NoOp{}, f.Name, f.Shorthand, f.Usage) })
	options.NewKubeletFlags().AddFlags(flags)
	options.AddKubeletConfigFlags(flags, config)
	original := config.FeatureGates
	flags.SetOutput(io.Discard)
	if err := flags.Parse(args); err != nil {
		return err
	}
	for name, on := range original {
		if _, ok := config.FeatureGates[name]; !ok {
			config.FeatureGates[name] = on
		}
	}
	return nil
}

func parseResourceList(m map[string]string) (v1.ResourceList, error) {
	list := v1.ResourceList{}
	for name, value := range m {
		switch v1.ResourceName(name) {
		case v1.ResourceCPU, v1.ResourceMemory, v1.ResourceEphemeralStorage, pidlimit.PIDs:
			quantity, err := resource.ParseQuantity(value)
			if err != nil {
				return nil, fmt.Errorf("failed to parse quantity %q for %q resource: %w", value, name, err)
			}
			if quantity.Sign() == -1 {
				return nil, fmt.Errorf("resource quantity for %q cannot be negative: %v", name, value)
			}
			if v1.ResourceName(name) == v1.ResourceCPU {
				roundCPU(&quantity)
			}
			list[v1.ResourceName(name)] = quantity
		default:
			return nil, fmt.Errorf("cannot reserve %q resource", name)
		}
	}
	return list, nil
}

// machine returns a node of four CPUs and 8 GiB.
func machine() *machineInfo {
	var cores []machineCore
	for id := 0; id < 4; id++ {
		cores = append(cores, machineCore{Id: id, Threads: []int{id}, SocketID: 0})
	}
	return &machineInfo{
		NumCores: 4, NumPhysicalCores: 4, NumSockets: 1, MemoryCapacity: 8 << 30,
		Topology: []machineNode{{Id: 0, Memory: 8 << 30, Cores: cores}},
	}
}
