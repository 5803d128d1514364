//go:build since_1_37

package main

import (
	machineapi "github.com/google/cadvisor/lib/model"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	genericapiserver "k8s.io/apiserver/pkg/server"
	serverstorage "k8s.io/apiserver/pkg/server/storage"
	"k8s.io/client-go/informers"
	"k8s.io/klog/v2"
	apiserveroptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	controlplane "k8s.io/kubernetes/pkg/controlplane/apiserver"
	openapi "k8s.io/kubernetes/pkg/generated/openapi"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	"k8s.io/kubernetes/pkg/kubelet/cm/cpumanager"
	"k8s.io/kubernetes/pkg/kubelet/cm/memorymanager"
	"k8s.io/kubernetes/pkg/kubelet/cm/topologymanager"
	"k8s.io/utils/cpuset"
)

type (
	machineInfo = machineapi.MachineInfo
	machineCore = machineapi.Core
	machineNode = machineapi.Node
)

func newManagers(logger klog.Logger, config *kubeletconfig.KubeletConfiguration, machine *machineInfo, reserved cpuset.CPUSet, reservation v1.ResourceList) error {
	topology, err := topologymanager.NewManager(logger, machine.Topology, config.TopologyManagerPolicy, config.TopologyManagerScope, config.TopologyManagerPolicyOptions)
	if err != nil {
		return err
	}
	if _, err := cpumanager.NewManager(logger, config.CPUManagerPolicy, config.CPUManagerPolicyOptions, config.CPUManagerReconcilePeriod.Duration, machine, reserved, reservation, kubeletState, topology); err != nil {
		return err
	}
	_, err = memorymanager.NewManager(logger, config.MemoryManagerPolicy, machine, reservation, config.ReservedMemory, kubeletState, topology)
	return err
}

func buildGeneric(options apiserveroptions.CompletedOptions, schemes []*runtime.Scheme) (*genericapiserver.Config, informers.SharedInformerFactory, *serverstorage.DefaultStorageFactory, error) {
	resources := serverstorage.NewResourceConfig()
	resources.EnableVersions(legacyscheme.Scheme.PrioritizedVersionsAllGroups()...)
	return controlplane.BuildGenericConfig(options.CompletedOptions, schemes, resources, openapi.GetOpenAPIDefinitions, nil)
}

// roundCPU is what parseResourceList of cmd/kubelet/app does to CPUs.
func roundCPU(quantity *resource.Quantity) {
	quantity.SetMilli((quantity.ScaledValue(resource.Micro) + 500) / 1000)
}
