// SPDX-License-Identifier: Apache-2.0
//go:build !since_1_37

package main

import "k8s.io/apimachinery/pkg/runtime"

// versioned returns an object as the attributes of a request hold it.
func versioned(object runtime.Object) runtime.Object {
	return object
}
