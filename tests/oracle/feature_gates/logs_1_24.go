// SPDX-License-Identifier: Apache-2.0
//go:build since_1_24 && !since_1_25

package main

import (
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/logs"
)

func init() {
	more = append(more, func() error { return logs.AddFeatureGates(utilfeature.DefaultMutableFeatureGate) })
}
