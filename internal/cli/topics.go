package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// topics are the help pages that are no commands. flags are those of every command.
func topics(flags *pflag.FlagSet) []*cobra.Command {
	return []*cobra.Command{
		topic("exit-codes", "What the exit codes mean", exitCodesText),
		topic("environment", "The environment variables", environmentText),
		topic("snapshot-names", "How to name a snapshot and a path in it", snapshotNamesText),
		topic("passwords", "How a repository is opened", passwordsText),
		topic("patterns", "How to say what is left out", patternsText),
		topic("compression", "What the levels of compression mean", compressionText),
		topic("flags", "The flags of every command", "The flags of every command\n\n"+flags.FlagUsagesWrapped(100)),
	}
}

func topic(name, short, text string) *cobra.Command {
	return &cobra.Command{Use: name, Short: short, Long: strings.TrimSpace(text)}
}

const exitCodesText = `
What the exit codes mean

    0  done
    1  failed: standard error says why
    2  the command line was wrong
    3  incomplete: the snapshot, restore or listing is there, but some entries
       could not be read or written; each is named
    4  check found damage, or diff found differences
   10  there is no repository
   12  no password or key was given, or none that opens the repository
   13  the storage or the system refuses access
   14  the storage cannot be reached
   15  the storage is full
   16  the repository has a newer format than this program
  129, 130, 143  ended by SIGHUP, SIGINT, SIGTERM; a backup has saved a
       checkpoint, and the next one goes on from there

With --json the last line has the same number in exit_code.
`

const environmentText = `
The environment variables

  NACRE_REPOSITORY         the repository, as --repo
  NACRE_PASSWORD           the password itself
  NACRE_PASSWORD_FILE      a file with the password, as --password-file
  NACRE_PASSWORD_COMMAND   a shell command that prints it, as --password-command
  NACRE_KEYFILE            a keyfile, as --keyfile
  NACRE_AGE_IDENTITY       a file of age identities, as --age-identity
  NACRE_CACHE_DIR          where caches are kept, as --cache-dir
  NACRE_COMPLETION_TIME    how long a shell that completes a snapshot, a tag
                           or a host waits for the repository (2s)
  NACRE_...                any other flag: --some-flag is NACRE_SOME_FLAG

  CREDENTIALS_DIRECTORY    systemd's: the files nacre-password, nacre-keyfile
                           and nacre-age-identity in it are used
                           (LoadCredential=nacre-password:...)
  XDG_DATA_HOME            its folder nacre/repository is the repository where
                           none is named (else ~/.local/share)
  XDG_CONFIG_HOME          its folder nacre holds generated keys (~/.config)
  XDG_STATE_HOME           its folder nacre holds this machine's signing key and
                           the journals of backups (~/.local/state)
  XDG_CACHE_HOME           its folder nacre holds caches (~/.cache)
  NO_COLOR, FORCE_COLOR    no colours, always colours

The command line goes before the environment. Losing the folders of state and
cache loses nothing but time. Losing a key loses the repository: see passwords.
`

const snapshotNamesText = `
How to name a snapshot and a path in it

  latest         the newest snapshot
  latest~2       the second before it
  NAME           the newest snapshot that was made with --name NAME
  NAME~1         the one of that name before it
  4f2a91c3       the snapshot whose id begins so (at least four digits)
  @2026-11-01    the newest one of that day or before; a time may follow, as in
                 @2026-11-01T14:30

  SNAPSHOT:PATH  a file or directory in it; the path is the absolute one that
                 was backed up

Checkpoints, which a long backup makes on its way, are not counted.
`

const passwordsText = `
How a repository is opened

A repository has key slots, each of which opens it alone: passwords, keyfiles,
age recipients, and 24 recovery words. nacre takes, in this order:

  1. --password-file, --password-command, --keyfile or --age-identity
  2. $NACRE_PASSWORD, $NACRE_PASSWORD_FILE, $NACRE_PASSWORD_COMMAND,
     $NACRE_KEYFILE or $NACRE_AGE_IDENTITY
  3. nacre-password, nacre-keyfile or nacre-age-identity in systemd's
     $CREDENTIALS_DIRECTORY
  4. the key that was generated for the repository on this machine, in the
     configuration folder
  5. what you type, if there is a terminal

"nacre key add --age-recipient age1..." lets the owner of that age identity open
it (https://age-encryption.org): --age-identity names the file that age-keygen
wrote. A slot can have several recipients, post-quantum ones (age1pq1...) in
slots of their own. Plugins and SSH keys are not known. "nacre key passwd"
changes a password.

The recovery words can be given wherever a password can, separated by spaces.
They open the repository on any machine, with nothing else.

If all of them are lost, the backup is lost: nobody can open it. Run
"nacre key kit" and keep the words on paper, away from the machine.
`

const compressionText = `
What the levels of compression mean

  auto     fast; and default while the storage is so slow that the backup waits
           for it at least half as long as it compresses
  fast     zstd at its fastest
  default  zstd at its default: smaller and slower
  max      zstd at its best: smaller still, and slower by far
  none     nothing is compressed

At every level but max, a sample of each segment is looked at first, and what
looks like noise (pictures, archives, what is encrypted) is stored as it is; so
is, at every level, what compression makes smaller by less than 3 %.

A snapshot may hold segments of any level: changing it needs no new repository,
and what is stored already stays as it is.
`

const patternsText = `
How to say what is left out

  --exclude PATTERN           leave out what matches; --iexclude ignores case
  --exclude-file FILE         patterns, one on each line; # begins a comment
  --exclude-if-present NAME   leave out what is in a directory that holds NAME
  --exclude-caches            the same for CACHEDIR.TAG
  --exclude-larger-than SIZE  leave out larger files
  --exclude-vcs               leave out the files of version control systems
  --one-file-system           do not enter other file systems
  --gitignore                 honour .gitignore and .nacreignore files

A pattern without a slash matches a name at any depth: *.o, node_modules. One
that begins with a slash is bound to the top: /home/*/.cache. Others match these
components anywhere: Documents/*.tmp. A slash at the end asks for a directory.
* and ? do not match a slash, ** matches any number of directories, [a-z] and
[!a-z] one character. Of the patterns that match, the last one decides; one that
begins with ! keeps the path. What is below a directory that is left out is
left out, too.
`
