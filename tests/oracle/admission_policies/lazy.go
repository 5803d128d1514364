// SPDX-License-Identifier: Apache-2.0
//go:build since_1_37

package main

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
)

// versioned returns an object as the attributes of a request hold it.
func versioned(object runtime.Object) admission.LazyObject {
	return admission.NewLazyObject(object)
}
