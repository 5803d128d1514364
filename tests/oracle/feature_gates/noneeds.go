// SPDX-License-Identifier: Apache-2.0
//go:build !since_1_35

package main

// dependencies returns nothing: older gates do not depend on one another.
func dependencies() map[string][]string { return nil }
