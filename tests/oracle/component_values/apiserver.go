package main

import (
	"context"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apimachinery/pkg/runtime"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	logsapi "k8s.io/component-base/logs/api/v1"
	aggregator "k8s.io/kube-aggregator/pkg/apiserver/scheme"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
)

func init() {
	// Each command registers these, and panics if somebody else did with other values.
	must(logsapi.AddFeatureGates(utilfeature.DefaultMutableFeatureGate))
}

// askAPIServer goes as far as what cmd/kube-apiserver/app does before it builds the servers: the certificates are
// loaded, authentication, authorization, audit, egress and tracing are set up. Admission plugins are not started.
func askAPIServer(ctx context.Context, args []string, stage *string) error {
	s := options.NewServerRunOptions()
	sets := s.Flags()
	addCustomGlobalFlags(sets.FlagSet("generic"))
	sets.FlagSet("k3s").Int("advertise-port", 0, "K3s' own")
	if err := parse("kube-apiserver", sets, args); err != nil {
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
	*stage = "complete"
	completed, err := complete(ctx, s)
	if err != nil {
		return err
	}
	*stage = "validate"
	if errs := completed.Validate(); len(errs) != 0 {
		return utilerrors.NewAggregate(errs)
	}
	*stage = "config"
	schemes := []*runtime.Scheme{legacyscheme.Scheme, apiextensions.Scheme, aggregator.Scheme}
	config, err := buildConfig(completed, schemes)
	if err != nil {
		return err
	}
	return config.SecureServing.Listener.Close()
}
