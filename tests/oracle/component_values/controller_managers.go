package main

import (
	"context"

	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/cloud-provider/names"
	cloudoptions "k8s.io/cloud-provider/options"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
)

// askControllerManager goes as far as the configuration with which the controllers would be started. The names of the
// controllers are in controllers.go.
func askControllerManager(ctx context.Context, args []string, stage *string) error {
	s, err := options.NewKubeControllerManagerOptions()
	if err != nil {
		return err
	}
	sets := s.Flags(knownControllers(), disabledControllers, controllerAliases)
	keepParsedFlags(s, &sets)
	if err := parse("kube-controller-manager", sets, args); err != nil {
		return err
	}
	*stage = "gates"
	if err := setGates(); err != nil {
		return err
	}
	*stage = "logging"
	if err := logsapi.ValidateAndApply(s.Logs, utilfeature.DefaultFeatureGate); err != nil {
		return err
	}
	*stage = "validate"
	if err := s.Validate(knownControllers(), disabledControllers, controllerAliases); err != nil {
		return err
	}
	*stage = "config"
	// No API server answers here; in K3s one does.
	s.Authentication.TolerateInClusterLookupFailure = true
	config, err := managerConfig(ctx, s)
	if err == nil && config.SecureServing != nil {
		_ = config.SecureServing.Listener.Close()
	}
	return err
}

// askCloudControllerManager goes as far as the validation of the options.
func askCloudControllerManager(_ context.Context, args []string, stage *string) error {
	s, err := cloudoptions.NewCloudControllerManagerOptions()
	if err != nil {
		return err
	}
	// DefaultInitFuncConstructors of k8s.io/cloud-provider/app.
	known := []string{
		names.CloudNodeController, names.CloudNodeLifecycleController, names.ServiceLBController, names.NodeRouteController,
	}
	aliases := names.CCMControllerAliases()
	sets := s.Flags(known, nil, aliases, nil, nil)
	logging := logs.NewOptions()
	logsapi.AddFlags(logging, sets.FlagSet("global"))
	if err := parse("cloud-controller-manager", sets, args); err != nil {
		return err
	}
	*stage = "logging"
	if err := logsapi.ValidateAndApply(logging, utilfeature.DefaultFeatureGate); err != nil {
		return err
	}
	*stage = "validate"
	return s.Validate(known, nil, aliases, nil, nil)
}
