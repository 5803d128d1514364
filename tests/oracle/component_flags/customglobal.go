// SPDX-License-Identifier: Apache-2.0
//go:build customglobal

package main

import (
	"github.com/spf13/pflag"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// addCustomGlobalFlags adds what packages of the API server register by themselves.
func addCustomGlobalFlags(flags *pflag.FlagSet) {
	apiserver.AddCustomGlobalFlags(flags)
}
