// SPDX-License-Identifier: Apache-2.0
package main

import (
	"strings"
	"time"

	"github.com/urfave/cli"
)

// first answers as K3s did up to the spring of 2025.
func first(t table, argv []string) (result answer) {
	app := cli.NewApp()
	app.Name = "k3s"
	app.Version = "v1"
	app.Writer, app.ErrWriter = nowhere, nowhere
	app.ExitErrHandler = func(*cli.Context, error) {}
	app.Flags, _ = firstFlags(t.Global, newState())
	for name, options := range map[string][]option{"server": t.Server, "agent": t.Agent} {
		state := newState()
		flags, lists := firstFlags(options, state)
		app.Commands = append(app.Commands, cli.Command{Name: name, Flags: flags, Action: func(context *cli.Context) error {
			list := func(o option) []string { return lists[o.into()].Value() }
			result.Values = collect(options, flagSetOf(context), state, list)
			result.Command, result.Rest = context.Command.Name, append([]string{}, context.Args()...)
			return nil
		}})
	}
	for _, name := range others {
		app.Commands = append(app.Commands, cli.Command{Name: name, SkipFlagParsing: true, Action: func(context *cli.Context) error {
			result.Command = context.Command.Name
			return nil
		}})
	}
	result.Error = text(app.Run(argv))
	return result
}

func firstFlags(options []option, state *state) ([]cli.Flag, map[string]*cli.StringSlice) {
	var flags []cli.Flag
	lists := map[string]*cli.StringSlice{}
	for _, o := range options {
		name, names, env := o.Names[0], strings.Join(o.Names, ","), strings.Join(o.Env, ",")
		switch o.Type {
		case "boolean":
			state.booleans[name] = new(bool)
			flags = append(flags, &cli.BoolFlag{Name: names, EnvVar: env, Destination: state.booleans[name]})
		case "integer":
			state.integers[name] = new(int)
			flags = append(flags, &cli.IntFlag{Name: names, EnvVar: env, Destination: state.integers[name]})
		case "duration":
			state.durations[name] = new(time.Duration)
			flags = append(flags, &cli.DurationFlag{Name: names, EnvVar: env, Destination: state.durations[name]})
		case "text":
			state.texts[name] = new(string)
			flags = append(flags, &cli.StringFlag{Name: names, EnvVar: env, Destination: state.texts[name]})
		default:
			if lists[o.into()] == nil {
				lists[o.into()] = &cli.StringSlice{}
			}
			flags = append(flags, &cli.StringSliceFlag{Name: names, EnvVar: env, Value: lists[o.into()]})
		}
	}
	return flags, lists
}
