//go:build !customglobal

package main

import "github.com/spf13/pflag"

// addCustomGlobalFlags adds nothing: newer API servers have all in their options.
func addCustomGlobalFlags(*pflag.FlagSet) {}
