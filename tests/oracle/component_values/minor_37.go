// SPDX-License-Identifier: Apache-2.0
//go:build since_1_37

package main

import (
	machineapi "github.com/google/cadvisor/lib/model"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	genericapiserver "k8s.io/apiserver/pkg/server"
	serverstorage "k8s.io/apiserver/pkg/server/storage"
	"k8s.io/client-go/informers"
	"k8s.io/klog/v2"
	apiserveroptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	controlplane "k8s.io/kubernetes/pkg/controlplane/apiserver"
	openapi "k8s.io/kubernetes/pkg/generated/openapi"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	"k8s.io/kubernetes/pkg/kubelet/cm/topologymanager"
)

type (
	machineInfo = machineapi.MachineInfo
	machineCore = machineapi.Core
	machineNode = machineapi.Node
)

func newTopologyManager(logger klog.Logger, config *kubeletconfig.KubeletConfiguration, machine *machineInfo) (topologymanager.Manager, error) {
	return topologymanager.NewManager(logger, machine.Topology, config.TopologyManagerPolicy, config.TopologyManagerScope, config.TopologyManagerPolicyOptions)
}

func buildGeneric(options apiserveroptions.CompletedOptions, schemes []*runtime.Scheme) (*genericapiserver.Config, informers.SharedInformerFactory, *serverstorage.DefaultStorageFactory, error) {
	return controlplane.BuildGenericConfig(options.CompletedOptions, schemes, allResources(), openapi.GetOpenAPIDefinitions, nil)
}

// roundCPU is what parseResourceList of cmd/kubelet/app does to CPUs.
func roundCPU(quantity *resource.Quantity) {
	quantity.SetMilli((quantity.ScaledValue(resource.Micro) + 500) / 1000)
}
