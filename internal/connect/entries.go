package connect

import (
	"context"

	sinkfiles "github.com/nacre-backup/nacre/internal/sink/files"
	"github.com/nacre-backup/nacre/internal/source/files"
	"github.com/nacre-backup/nacre/internal/source/stream"
)

// FileSource is what to read from the file system, and how.
type FileSource = files.Options

// OpenFiles opens a source of files and directories, and tells its roots as absolute paths.
func OpenFiles(_ context.Context, o FileSource) (*files.Source, error) { return files.New(o) }

// ParseFollow reads the rule for symbolic links.
func ParseFollow(s string) (files.Follow, error) { return files.ParseFollow(s) }

// FileSink says what is restored, and how.
type FileSink = sinkfiles.Options

// OpenFolder opens a sink that restores into a folder.
func OpenFolder(target string, o FileSink) (*sinkfiles.Sink, error) { return sinkfiles.New(target, o) }

// ParseOverwrite reads the rule for what is there already.
func ParseOverwrite(s string) (sinkfiles.Overwrite, error) { return sinkfiles.ParseOverwrite(s) }

// Stream is what to read as one file.
type Stream = stream.Options

// OpenStream makes a source of standard input, or of what a command prints.
func OpenStream(o Stream) (*stream.Source, error) { return stream.New(o) }
