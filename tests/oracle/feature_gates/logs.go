// SPDX-License-Identifier: Apache-2.0
//go:build since_1_25

package main

import (
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	logsapi "k8s.io/component-base/logs/api/v1"
)

func init() {
	more = append(more, func() error { return logsapi.AddFeatureGates(utilfeature.DefaultMutableFeatureGate) })
}
