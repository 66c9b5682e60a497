package main

import (
	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/open"
	"github.com/spf13/cobra"
)

func (a *app) recoverCommand() *cobra.Command {
	var adopt bool
	cmd := &cobra.Command{
		Use:   "recover",
		Short: "Put back what Redis has lost, from the running service",
		Long: `Puts into a Redis that has lost everything what the running service has of it: its
copy of pools, tokens, configuration, password, documents and sessions, and the
carried files of its last snapshot. What was queued meanwhile comes on top. Of
several services one puts it back; the others go on with that by themselves. Run
for several at the same time, one does it, and the others wait for that, say that
it was put back already, and end with exit code 0.

It is refused where nothing is lost, and where the store is initialised with other
content. With --adopt the service goes on with the store that is there, whatever it
holds: after an import, for example. What is queued is brought to that then. Where
it does so already there is nothing to adopt, which is refused.

Where no service runs, start one with the state directory of one that did: it
serves the last snapshot, and puts that back. The snapshot is also a directory
that import takes; but what waits in the journal is in it, and a service that
brings it afterwards with --adopt counts it twice: see poolkeeper journal list.

Exit code 3 where Redis is away, or there is nothing to put back; 1 where it is
refused.`,
		Example: `  poolkeeper status
  poolkeeper recover
  poolkeeper recover --adopt --json`,
		Args: need(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := a.settings()
			if err != nil {
				return err
			}
			in := a.running(cmd.Context(), set)
			if in == nil {
				return poolkeeper.Errorf(poolkeeper.ErrUnavailable, "no service runs for this store, so there is no copy to put back").
					WithHint("start one with this state directory; or, where poolkeeper journal list has nothing that waits, import its last snapshot: poolkeeper import --config-dir %s", open.FallbackDir(set))
			}
			done, err := in.client.Recover(cmd.Context(), adopt)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(done)
			}
			switch done.By {
			case poolkeeper.RecoveredAdopted:
				return a.printf("The service goes on with the store that is there.\n")
			case poolkeeper.RecoveredByOther:
				return a.printf("It was put back already, by another service or another run of this command; this service goes on with that.\n")
			}
			if done.Problem != "" {
				a.note("warning: %s", done.Problem)
			}
			return a.printf("Put back %d providers in %d pools, %d tokens, %d documents, %d sessions and %d files.\n",
				done.Providers, done.Pools, done.Tokens, done.Documents, done.Sessions, done.Files)
		},
	}
	cmd.Flags().BoolVar(&adopt, "adopt", false, "go on with the store that is there, whatever it holds")
	return cmd
}
