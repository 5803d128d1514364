// SPDX-License-Identifier: Apache-2.0
//go:build !customglobal

package main

import "github.com/spf13/pflag"

// addCustomGlobalFlags adds nothing: newer API servers have all in their options.
func addCustomGlobalFlags(*pflag.FlagSet) {}
