// SPDX-License-Identifier: Apache-2.0
package main

import (
	_ "k8s.io/apiextensions-apiserver/pkg/features"
	_ "k8s.io/kubernetes/pkg/features"
)
