// SPDX-License-Identifier: Apache-2.0
// The kubelet's own check of the kernel parameters, which it does not export. It only reads.
package main

import (
	"os"
	_ "unsafe" // for go:linkname

	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/kubelet/cm"
)

//go:linkname setupKernelTunables k8s.io/kubernetes/pkg/kubelet/cm.setupKernelTunables
func setupKernelTunables(logger klog.Logger, behavior cm.KernelTunableBehavior) error

// own stands in the directory that the test lays over /proc/sys.
const own = "/proc/sys/not-the-kernel"

func judgeKernel() answer {
	_, err := os.Stat(own)
	must(err)
	if err := setupKernelTunables(klog.Background(), cm.KernelTunableError); err != nil {
		return failed(err)
	}
	return answer{Effect: true}
}
