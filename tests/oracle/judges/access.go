// SPDX-License-Identifier: Apache-2.0
// The configurations of who may do what, and of how the API server reaches others: each read and validated as the API
// server does it before it starts.
package main

import (
	"errors"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	apiserverapi "k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/apis/apiserver/install"
	"k8s.io/apiserver/pkg/apis/apiserver/validation"
	authenticationcel "k8s.io/apiserver/pkg/authentication/cel"
	authorizationcel "k8s.io/apiserver/pkg/authorization/cel"
	"k8s.io/apiserver/pkg/server/egressselector"
	"k8s.io/kubernetes/pkg/kubeapiserver/authorizer"
)

// judgeAuthentication does what loadAuthenticationConfigFromData in pkg/kubeapiserver/options does, and validates.
func judgeAuthentication(text string) answer {
	if len(text) == 0 {
		return failed(errors.New("empty config data"))
	}
	scheme := runtime.NewScheme()
	install.Install(scheme)
	codecs := serializer.NewCodecFactory(scheme, serializer.EnableStrict)
	decoded, err := runtime.Decode(codecs.UniversalDecoder(), []byte(text))
	if err != nil {
		return failed(err)
	}
	config, ok := decoded.(*apiserverapi.AuthenticationConfiguration)
	if !ok {
		return failed(fmt.Errorf("expected AuthenticationConfiguration, got %T", decoded))
	}
	compiler := authenticationcel.NewDefaultCompiler()
	if err := validation.ValidateAuthenticationConfiguration(compiler, config, nil).ToAggregate(); err != nil {
		return failed(err)
	}
	said := answer{Effect: true}
	if config.Anonymous != nil {
		said.Anonymous = &anonymous{Enabled: config.Anonymous.Enabled, Paths: []string{}}
		for _, condition := range config.Anonymous.Conditions {
			said.Anonymous.Paths = append(said.Anonymous.Paths, condition.Path)
		}
	}
	return said
}

func judgeAuthorization(text string) answer {
	_, err := authorizer.LoadAndValidateData([]byte(text), authorizationcel.NewDefaultCompiler(), nil)
	if err != nil {
		return failed(err)
	}
	return answer{Effect: true}
}

func judgeEgress(text string) answer {
	file, err := os.CreateTemp("", "egress")
	must(err)
	defer os.Remove(file.Name())
	_, err = file.WriteString(text)
	must(err)
	must(file.Close())
	config, err := egressselector.ReadEgressSelectorConfiguration(file.Name())
	if err != nil {
		return failed(err)
	}
	if err := egressselector.ValidateEgressSelectorConfiguration(config).ToAggregate(); err != nil {
		return failed(err)
	}
	if err := dial(config); err != nil {
		return failed(err)
	}
	return answer{Effect: true}
}

// dial makes the dialers, as the API server does before it listens: it panics on a connection over TCP without TLS. Files
// that are not there are another matter.
func dial(config *apiserverapi.EgressSelectorConfiguration) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	_, _ = egressselector.NewEgressSelector(config)
	return nil
}
