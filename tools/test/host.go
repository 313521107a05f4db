package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// corpusPackage is the Debian package with the kernel's source tree.
const corpusPackage = "linux-source-6.1"

// need is a Debian package and the file that tells whether it is there already.
type need struct{ name, file string }

// needs lists what the tests use beyond Go.
var needs = []need{
	{"rsync", "/usr/bin/rsync"},
	{"acl", "/usr/bin/getfacl"},
	{"attr", "/usr/bin/getfattr"},
	{"libcap2-bin", "/sbin/getcap"},
	{"fuse3", "/usr/bin/fusermount3"},
	{"sshfs", "/usr/bin/sshfs"},
	{"openssh-server", "/usr/sbin/sshd"},
	{"exfat-fuse", "/usr/sbin/mount.exfat-fuse"},
	{"exfatprogs", "/usr/sbin/mkfs.exfat"},
	{"e2fsprogs", "/sbin/mkfs.ext4"},
	{"xfsprogs", "/sbin/mkfs.xfs"},
	{"btrfs-progs", "/sbin/mkfs.btrfs"},
	{"xz-utils", "/usr/bin/xz"},
	{"git", "/usr/bin/git"},
	{"python3", "/usr/bin/python3"},
	{"python3-zstandard", "/usr/lib/python3/dist-packages/zstandard"},
	{"python3-cryptography", "/usr/lib/python3/dist-packages/cryptography"},
	{"python3-argon2", "/usr/lib/python3/dist-packages/argon2"},
}

// host is what this machine offers.
type host struct {
	system string
	root   bool
	sudo   bool // sudo -n works
	apt    bool
	fuse   bool
	loop   bool
}

// look finds out what this machine offers.
func look() host {
	h := host{system: runtime.GOOS + "/" + runtime.GOARCH, root: os.Geteuid() == 0}
	_, err := exec.LookPath("apt-get")
	h.apt = err == nil
	if path, err := exec.LookPath("sudo"); err == nil && !h.root {
		h.sudo = exec.Command(path, "-n", "true").Run() == nil
	}
	if f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0); err == nil {
		h.fuse = f.Close() == nil
	}
	h.loop = exists("/dev/loop-control")
	return h
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// lacks reports whether the reason of a skip names something that this machine has not got and that no package brings.
func (h host) lacks(reason string) bool {
	return strings.Contains(reason, "FUSE") && !h.fuse ||
		strings.Contains(reason, "loop") && !h.loop ||
		strings.Contains(reason, "root") && !h.root
}

func (h host) String() string {
	who := "an ordinary user without sudo"
	if h.root {
		who = "root"
	} else if h.sudo {
		who = "an ordinary user with sudo"
	}
	yes := map[bool]string{true: "yes", false: "no"}
	return fmt.Sprintf("system %s, %s, as %s; apt-get: %s; FUSE: %s; loop devices: %s",
		h.system, runtime.Version(), who, yes[h.apt], yes[h.fuse], yes[h.loop])
}

// missing lists the packages that are not there.
func missing(list []need) []string {
	var m []string
	for _, n := range list {
		if !exists(n.file) {
			m = append(m, n.name)
		}
	}
	return m
}

// provide installs what is missing, or says how to. A failed installation is not an error: the tests that need the
// package say so themselves, as skips.
func (h host) provide(ctx context.Context, out io.Writer, o options) {
	if runtime.GOOS != "linux" {
		return
	}
	list := needs
	if o.corpus {
		list = append(list[:len(list):len(list)], need{corpusPackage, "/usr/src/" + corpusPackage + ".tar.xz"})
	}
	m := missing(list)
	if len(m) == 0 {
		return
	}
	command := []string{"apt-get", "install", "-y", "--no-install-recommends"}
	if !h.apt || !h.root && !h.sudo {
		fmt.Fprintf(out, "Not installed: %s. On Debian, this command lets more tests run:\n  sudo %s %s\n",
			strings.Join(m, ", "), strings.Join(command, " "), strings.Join(m, " "))
		return
	}
	fmt.Fprintf(out, "installing %s\n", strings.Join(m, " "))
	h.apts(ctx, out, []string{"apt-get", "update"})
	h.apts(ctx, out, append(command, m...))
}

// apts runs an apt-get command as root and shows its output only if it failed.
func (h host) apts(ctx context.Context, out io.Writer, args []string) {
	if !h.root {
		args = append([]string{"sudo", "-n"}, args...)
	}
	ctx, cancel := context.WithTimeout(ctx, 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(cmd.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if text, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(out, "%s: %v\n%s\n", strings.Join(args, " "), err, text)
	}
}
