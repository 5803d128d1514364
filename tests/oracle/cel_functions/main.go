// SPDX-License-Identifier: Apache-2.0
// cel_functions prints the functions that an expression of Kubernetes may call, as the environment of its own minor has
// them for new expressions: a line of JSON for each overload, {"name", "member", "args", "result"}. Operators are
// functions, too. A type is written as in the table: `list(<A>)` with a parameter, `dyn`, `int`, and an opaque or object
// type by its name. A line with "macro" is a macro: its name, whether it has a receiver, and how many arguments it
// takes (-1 for any number).
package main

import (
	"encoding/json"
	"os"
	"sort"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"k8s.io/apiserver/pkg/cel/environment"
)

type row struct {
	Name   string   `json:"name"`
	Macro  bool     `json:"macro,omitempty"`
	Count  int      `json:"count,omitempty"`
	Member bool     `json:"member"`
	ID     string   `json:"id,omitempty"`
	Args   []string `json:"args,omitempty"`
	Result string   `json:"result,omitempty"`
}

func main() {
	env, err := environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()).Env(environment.NewExpressions)
	if err != nil {
		panic(err)
	}
	out := json.NewEncoder(os.Stdout)
	put := func(r row) {
		if err := out.Encode(r); err != nil {
			panic(err)
		}
	}
	functions := env.Functions()
	names := make([]string, 0, len(functions))
	for name := range functions {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		for _, overload := range functions[name].OverloadDecls() {
			r := row{Name: name, Member: overload.IsMemberFunction(), ID: overload.ID(), Result: describe(overload.ResultType())}
			for _, arg := range overload.ArgTypes() {
				r.Args = append(r.Args, describe(arg))
			}
			put(r)
		}
	}
	for _, macro := range env.Macros() {
		count := macro.ArgCount()
		if strings.HasSuffix(macro.MacroKey(), ":*:true") || strings.HasSuffix(macro.MacroKey(), ":*:false") {
			count = -1
		}
		put(row{Name: macro.Function(), Macro: true, Member: macro.IsReceiverStyle(), Count: count})
	}
}

func describe(of *cel.Type) string {
	if of.Kind() == types.TypeParamKind {
		return "<" + of.TypeName() + ">"
	}
	name := of.TypeName()
	if of.Kind() == types.TypeKind && len(of.Parameters()) == 0 {
		return "type"
	}
	if len(of.Parameters()) == 0 {
		return name
	}
	inner := make([]string, 0, len(of.Parameters()))
	for _, one := range of.Parameters() {
		inner = append(inner, describe(one))
	}
	return name + "(" + strings.Join(inner, ", ") + ")"
}
