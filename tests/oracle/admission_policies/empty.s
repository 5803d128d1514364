// SPDX-License-Identifier: Apache-2.0
// A function without a body, as main.go has one by its link name, needs a file of assembly beside it.
