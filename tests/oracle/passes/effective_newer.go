//go:build since_1_32

package main

import "k8s.io/kubernetes/cmd/kube-apiserver/app/options"

// letsAnonymousIn tells whether anonymous requests are let in, to any path.
func letsAnonymousIn(o options.CompletedOptions) bool {
	config, err := o.Authentication.ToAuthenticationConfig()
	return err != nil || config.Anonymous.Enabled
}

// authorizers returns the kinds of all authorizers, in their order.
func authorizers(o options.CompletedOptions) ([]string, error) {
	config, err := o.Authorization.ToAuthorizationConfig(nil)
	if err != nil {
		return nil, err
	}
	var kinds []string
	for _, one := range config.AuthorizationConfiguration.Authorizers {
		kinds = append(kinds, string(one.Type))
	}
	return kinds, nil
}
