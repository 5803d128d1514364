// SPDX-License-Identifier: Apache-2.0
//go:build since_1_26

package main

import (
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	metricsfeatures "k8s.io/component-base/metrics/features"
)

func init() {
	more = append(more, func() error { return metricsfeatures.AddFeatureGates(utilfeature.DefaultMutableFeatureGate) })
}
