// Command nacre backs up files: incremental, deduplicated, compressed, encrypted.
package main

import (
	"os"

	"github.com/nacre-backup/nacre/internal/cli"
)

func main() { os.Exit(cli.Main(os.Exit)) }
