// SPDX-License-Identifier: Apache-2.0
// The admission configuration: read as the API server does it, and given to the real plugins, which then have to say
// something to a privileged pod.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/initializer"
	apiserverapi "k8s.io/apiserver/pkg/apis/apiserver"
	apiserverv1 "k8s.io/apiserver/pkg/apis/apiserver/v1"
	apiserverv1alpha1 "k8s.io/apiserver/pkg/apis/apiserver/v1alpha1"
	compatibility "k8s.io/apiserver/pkg/util/compatibility"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/plugin/pkg/admission/eventratelimit"
	"k8s.io/kubernetes/plugin/pkg/admission/eventratelimit/apis/eventratelimit/install"
	"k8s.io/kubernetes/plugin/pkg/admission/security/podsecurity"
)

// configured are the plugins that we write a configuration for.
var configured = []string{podsecurity.PluginName, eventratelimit.PluginName}

// somewhere is a namespace that nobody exempts.
const somewhere = "somewhere"

func judgeAdmission(text string, enabled []string) answer {
	plugins := configured[:1]
	if slices.Contains(enabled, eventratelimit.PluginName) {
		plugins = configured
	}
	scheme := runtime.NewScheme()
	must(apiserverapi.AddToScheme(scheme))
	must(apiserverv1alpha1.AddToScheme(scheme))
	must(apiserverv1.AddToScheme(scheme))

	file, err := os.CreateTemp("", "admission")
	must(err)
	defer os.Remove(file.Name())
	_, err = file.WriteString(text)
	must(err)
	must(file.Close())

	config, err := admission.ReadAdmissionConfiguration(plugins, file.Name(), scheme)
	if err != nil {
		return failed(err)
	}
	a := answer{Dropped: unread(text)}
	// Nothing is asked over this connection.
	client, err := kubernetes.NewForConfig(&rest.Config{Host: "127.0.0.1:1"})
	must(err)
	shared := informers.NewSharedInformerFactory(client, 0)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: somewhere}}
	must(shared.Core().V1().Namespaces().Informer().GetStore().Add(namespace))
	stop := make(chan struct{})
	defer close(stop)
	version := compatibility.DefaultBuildEffectiveVersion()
	start := initializer.New(client, nil, shared, nil, nil, version, stop, nil)

	registry := admission.NewPlugins()
	podsecurity.Register(registry)
	eventratelimit.Register(registry)
	for _, name := range plugins {
		given, err := config.ConfigFor(name)
		if err != nil {
			return failed(err)
		}
		if name == eventratelimit.PluginName && given != nil {
			raw, err := io.ReadAll(given)
			must(err)
			if dropped := droppedLimits(raw); dropped != "" {
				a.Dropped = dropped
			}
			given, err = config.ConfigFor(name)
			must(err)
		}
		plugin, err := registry.InitPlugin(name, given, start)
		if err != nil {
			return failed(err)
		}
		if name == podsecurity.PluginName {
			a.Effect = refuses(plugin)
		}
	}
	return a
}

// droppedLimits returns what EventRateLimit's own decoder, which is not strict, does not see.
func droppedLimits(raw []byte) string {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	strict := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDecoder()
	if _, err := runtime.Decode(strict, raw); runtime.IsStrictDecodingError(err) {
		return err.Error()
	}
	return ""
}

// refuses tells whether a plugin keeps a privileged pod out.
func refuses(plugin admission.Interface) bool {
	yes := true
	pod := &core.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: somewhere},
		Spec: core.PodSpec{Containers: []core.Container{{
			Name:            "c",
			Image:           "i",
			SecurityContext: &core.SecurityContext{Privileged: &yes},
		}}},
	}
	attributes := admission.NewAttributesRecord(
		pod, nil, core.Kind("Pod").WithVersion("v1"), somewhere, "p", core.Resource("pods").WithVersion("v1"), "",
		admission.Create, &metav1.CreateOptions{}, false, somebody{},
	)
	validator, ok := plugin.(admission.ValidationInterface)
	if !ok {
		must(errors.New("PodSecurity validates nothing"))
	}
	return validator.Validate(context.Background(), attributes, nil) != nil
}

// somebody is an ordinary user that nobody exempts.
type somebody struct{}

func (somebody) GetName() string               { return "somebody" }
func (somebody) GetUID() string                { return "" }
func (somebody) GetGroups() []string           { return []string{"system:authenticated"} }
func (somebody) GetExtra() map[string][]string { return nil }
