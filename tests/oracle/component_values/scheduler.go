// SPDX-License-Identifier: Apache-2.0
package main

import (
	"context"

	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/tools/leaderelection"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/kubernetes/cmd/kube-scheduler/app/options"
	"k8s.io/kubernetes/pkg/scheduler"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/latest"
)

// askScheduler goes as far as the scheduler itself, which is made but does not run.
func askScheduler(ctx context.Context, args []string, stage *string) error {
	s := options.NewOptions()
	if err := parse("kube-scheduler", *s.Flags, args); err != nil {
		return err
	}
	listen(s)
	*stage = "gates"
	if err := setGates(); err != nil {
		return err
	}
	*stage = "logging"
	if err := logsapi.ValidateAndApply(s.Logs, utilfeature.DefaultFeatureGate); err != nil {
		return err
	}
	*stage = "validate"
	config, err := latest.Default()
	if err != nil {
		return err
	}
	s.ComponentConfig = config
	if errs := s.Validate(); len(errs) > 0 {
		return utilerrors.NewAggregate(errs)
	}
	*stage = "config"
	c, err := s.Config(ctx)
	if err != nil {
		return err
	}
	if c.SecureServing != nil {
		defer c.SecureServing.Listener.Close()
	}
	*stage = "setup"
	cc := c.Complete()
	listen(cc)
	_, err = scheduler.New(ctx, cc.Client, cc.InformerFactory, cc.DynInformerFactory, eventRecorders(&cc),
		scheduler.WithComponentConfigVersion(cc.ComponentConfig.TypeMeta.APIVersion),
		scheduler.WithKubeConfig(cc.KubeConfig),
		scheduler.WithProfiles(cc.ComponentConfig.Profiles...),
		scheduler.WithPercentageOfNodesToScore(cc.ComponentConfig.PercentageOfNodesToScore),
		scheduler.WithPodMaxBackoffSeconds(cc.ComponentConfig.PodMaxBackoffSeconds),
		scheduler.WithPodInitialBackoffSeconds(cc.ComponentConfig.PodInitialBackoffSeconds),
		scheduler.WithPodMaxInUnschedulablePodsDuration(cc.PodMaxInUnschedulablePodsDuration),
		scheduler.WithExtenders(cc.ComponentConfig.Extenders...),
		scheduler.WithParallelism(cc.ComponentConfig.Parallelism))
	if err != nil || cc.LeaderElection == nil {
		return err
	}
	*stage = late
	cc.LeaderElection.Callbacks = leaderelection.LeaderCallbacks{
		OnStartedLeading: func(context.Context) {}, OnStoppedLeading: func() {},
	}
	_, err = leaderelection.NewLeaderElector(*cc.LeaderElection)
	return err
}
