// SPDX-License-Identifier: Apache-2.0
//go:build since_1_37

package main

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
)

func attributes(record admission.Attributes, kind schema.GroupVersionKind, object, old runtime.Object) *admission.VersionedAttributes {
	return &admission.VersionedAttributes{
		Attributes:         record,
		VersionedKind:      kind,
		VersionedObject:    admission.NewLazyObject(object),
		VersionedOldObject: admission.NewLazyObject(old),
	}
}
