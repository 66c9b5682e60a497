package main

import (
	"bytes"

	"github.com/poolkeeper/poolkeeper"
	"github.com/spf13/cobra"
)

func (a *app) passwordCommand() *cobra.Command {
	parent := group(&cobra.Command{
		Use:   "password",
		Short: "Set the password of the gateway's page",
		Long:  "The password of the gateway's page. It is stored hashed and never shown.",
	})
	parent.AddCommand(&cobra.Command{
		Use:   "set",
		Short: "Set the password, read from standard input",
		Long: `Sets the password to the first line of standard input. It must have at least 12
characters, and is stored hashed. It is never taken from an argument, which other
users of the machine could see.`,
		Example: `  poolkeeper password set < password.txt
  head -c 18 /dev/urandom | base64 | tee password.txt | poolkeeper password set`,
		Args: need(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if isTerminalReader(a.in) {
				a.note("poolkeeper: type the password (it is shown) and press return")
			}
			line, err := a.readLine(2 * poolkeeper.MaxPassword)
			if err != nil {
				return err
			}
			// Hashed before the store is asked, so that a password that is
			// refused needs none.
			if _, err := poolkeeper.HashPassword(string(line)); err != nil {
				return err
			}
			st, err := a.kept(cmd.Context())
			if err != nil {
				return err
			}
			defer st.Close()
			res, err := st.SetPassword(cmd.Context(), string(line))
			return a.printResult(res, err, nil)
		},
	})
	return parent
}

// readLine reads the first line of stdin, and no byte after it.
func (a *app) readLine(limit int) ([]byte, error) {
	var line []byte
	buf := make([]byte, 1)
	for {
		n, err := a.in.Read(buf)
		if n == 1 {
			if buf[0] == '\n' {
				break
			}
			if line = append(line, buf[0]); len(line) > limit {
				return nil, poolkeeper.Errorf(poolkeeper.ErrTooLarge, "the first line of standard input has more than %d bytes", limit)
			}
		}
		if err != nil {
			break
		}
	}
	return bytes.TrimSuffix(line, []byte("\r")), nil
}
