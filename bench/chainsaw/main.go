// `chainsaw assert`, and nothing else of chainsaw: its runner of tests does not compile with Go 1.26, whose package testing
// has other internals.
package main

import (
	"os"

	"github.com/kyverno/chainsaw/pkg/commands/assert"
)

func main() {
	if err := assert.Command().Execute(); err != nil {
		os.Exit(1)
	}
}
