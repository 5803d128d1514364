// SPDX-License-Identifier: Apache-2.0
// component_flags prints every flag of the components that K3s runs, as the Kubernetes that it is linked against
// has them: a line of JSON each, {"component", "name", "type", "go", "default", "deprecated", "bare", "shared"}.
//
// It is built with the tag providerless, as K3s builds them, and by a go.mod that tests/it/component_flags writes for
// one minor from Kubernetes' own. What the commands add to their options is added here the same way; the commands
// themselves would link everything that a cluster does.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"

	"github.com/spf13/pflag"
	cloudcontroller "k8s.io/cloud-provider/options"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/cli/globalflag"
	"k8s.io/component-base/version/verflag"
	"k8s.io/klog/v2"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app/options"
)

type row struct {
	Component string `json:"component"`
	Name      string `json:"name"`
	// Type is what pflag calls its type, and Go the type of the value itself, which may be another.
	Type string `json:"type"`
	Go   string `json:"go"`
	// Default is its value as long as nobody sets it.
	Default    string `json:"default"`
	Deprecated bool   `json:"deprecated"`
	// Bare is what the flag means without a value; none where it needs one.
	Bare string `json:"bare"`
	// Shared tells that it is not the component's own: kube-proxy takes over what any package of the program has
	// put on Go's command line, and K3s is another program than this one.
	Shared bool `json:"shared"`
}

func main() {
	out := json.NewEncoder(os.Stdout)
	print := func(component string, flags *pflag.FlagSet) {
		flags.VisitAll(func(f *pflag.Flag) {
			shared := component == "kube-proxy" && flag.CommandLine.Lookup(f.Name) != nil
			must(out.Encode(row{component, f.Name, f.Value.Type(), fmt.Sprintf("%T", f.Value), f.DefValue, f.Deprecated != "", f.NoOptDefVal, shared}))
		})
	}

	// First, because 1.34 sets the default of a feature gate here, which it may not once a set has gates.
	manager, err := controllermanager.NewKubeControllerManagerOptions()
	must(err)
	managerFlags := flagsOf(manager)

	sets := (apiserver.NewServerRunOptions()).Flags()
	addCustomGlobalFlags(sets.FlagSet("generic"))
	print("kube-apiserver", whole("kube-apiserver", sets))

	print("kube-controller-manager", whole("kube-controller-manager", managerFlags))

	print("kube-scheduler", whole("kube-scheduler", *scheduler.NewOptions().Flags))

	cloud, err := cloudcontroller.NewCloudControllerManagerOptions()
	must(err)
	sets = flagsOf(cloud)
	// NewCloudControllerManagerCommand adds the flags of logging itself: those that the scheduler has.
	if minorOf("k8s.io/cloud-provider") >= 27 {
		sets.FlagSet("global").AddFlagSet(scheduler.NewOptions().Flags.FlagSet("logs"))
	}
	print("cloud-controller-manager", whole("cloud-controller-manager", sets))

	// The one set that takes underscores for dashes in K3s.
	flags := pflag.NewFlagSet("kubelet", pflag.ContinueOnError)
	flags.SetNormalizeFunc(cliflag.WordSepNormalizeFunc)
	configuration, err := kubelet.NewKubeletConfiguration()
	must(err)
	kubelet.NewKubeletFlags().AddFlags(flags)
	kubelet.AddKubeletConfigFlags(flags, configuration)
	kubelet.AddGlobalFlags(flags)
	flags.BoolP("help", "h", false, "")
	print("kubelet", flags)

	// It takes over what the program has on its own command line: in K3s klog's.
	klog.InitFlags(flag.CommandLine)
	flags = proxy.NewProxyCommand().Flags()
	if flags.Lookup("help") == nil {
		flags.BoolP("help", "h", false, "")
	}
	print("kube-proxy", flags)
}

// minorOf returns the minor of a module that this program links.
func minorOf(module string) int {
	minor := 0
	info, _ := debug.ReadBuildInfo()
	for _, dependency := range info.Deps {
		if dependency.Path != module {
			continue
		}
		if dependency.Replace != nil {
			dependency = dependency.Replace
		}
		_, err := fmt.Sscanf(dependency.Version, "v0.%d.", &minor)
		must(err)
	}
	return minor
}

// whole puts a component's sets together, with what every command has.
func whole(name string, sets cliflag.NamedFlagSets) *pflag.FlagSet {
	verflag.AddFlags(sets.FlagSet("global"))
	globalflag.AddGlobalFlags(sets.FlagSet("global"), name)
	flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
	for _, set := range sets.FlagSets {
		flags.AddFlagSet(set)
	}
	return flags
}

// flagsOf calls Flags with nothing for whatever it takes (names of controllers): that differs between minors.
func flagsOf(options interface{}) cliflag.NamedFlagSets {
	method := reflect.ValueOf(options).MethodByName("Flags")
	arguments := make([]reflect.Value, method.Type().NumIn())
	for i := range arguments {
		arguments[i] = reflect.Zero(method.Type().In(i))
	}
	return method.Call(arguments)[0].Interface().(cliflag.NamedFlagSets)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
