// SPDX-License-Identifier: Apache-2.0
//go:build !since_1_37

package main

import cloudnames "k8s.io/cloud-provider/names"

func init() {
	// They run in the cloud controller manager alone, but the controller manager still knows their names.
	controllerAliases["cloud-node-lifecycle"] = cloudnames.CloudNodeLifecycleController
	controllerAliases["route"] = cloudnames.NodeRouteController
	controllerAliases["service"] = cloudnames.ServiceLBController
}
