package local

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/storetest"
)

// tool finds a program of a Debian package, or skips the test.
func tool(t *testing.T, pkg string, names ...string) string {
	t.Helper()
	for _, n := range names {
		if p, err := exec.LookPath(n); err == nil {
			return p
		}
	}
	t.Skipf("needs %s (apt)", pkg)
	return ""
}

// needFUSE skips the test where no FUSE file system can be mounted.
func needFUSE(t *testing.T) {
	t.Helper()
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Skip("needs FUSE (/dev/fuse and fusermount3)")
	}
	f.Close() // it was only looked for
	tool(t, "fuse3", "fusermount3")
}

// run starts a program that is killed, by its own process id, at the test's end.
func run(t *testing.T, name string, args ...string) (output *bytes.Buffer, ended <-chan struct{}) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end := make(chan struct{})
	go func() { _ = cmd.Wait(); close(end) }() // how it ends is of no interest
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-end
	})
	return &out, end
}

// waitFor waits until ready says so.
func waitFor(t *testing.T, what string, ended <-chan struct{}, out *bytes.Buffer, ready func() bool) {
	t.Helper()
	for range 600 {
		if ready() {
			return
		}
		select {
		case <-ended:
			t.Skipf("needs %s, which ended: %s", what, out)
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Fatalf("%s is not ready after a minute", what)
}

// mounted tells whether something is mounted on a folder: its device differs from its parent's.
func mounted(dir string) bool {
	var a, b syscall.Stat_t
	return syscall.Stat(dir, &a) == nil && syscall.Stat(filepath.Dir(dir), &b) == nil && a.Dev != b.Dev
}

func unmountAtEnd(t *testing.T, dir string) {
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			_ = exec.Command("fusermount3", "-u", "-z", dir).Run() // an ordinary user's way
		}
	})
}

// sshd runs an SSH server of this test's own on the loopback and returns its port and a client key.
func sshd(t *testing.T) (port, key string) {
	t.Helper()
	server := tool(t, "openssh-server", "sshd", "/usr/sbin/sshd")
	keygen := tool(t, "openssh-client", "ssh-keygen")
	dir := t.TempDir()
	for _, k := range []string{"host", "client"} {
		if out, err := exec.Command(keygen, "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, k)).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ = net.SplitHostPort(l.Addr().String())
	l.Close() // only its number is wanted
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	conf := fmt.Sprintf("ListenAddress 127.0.0.1:%s\nHostKey %s/host\nAuthorizedKeysFile %s/client.pub\nPidFile none\nStrictModes no\nUsePAM no\n"+
		"PasswordAuthentication no\nPermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n", port, dir, dir)
	if err := os.WriteFile(filepath.Join(dir, "sshd_config"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	out, ended := run(t, server, "-D", "-e", "-f", filepath.Join(dir, "sshd_config"))
	waitFor(t, "openssh-server (apt)", ended, out, func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
	return port, filepath.Join(dir, "client")
}

func TestConformanceOnSSHFS(t *testing.T) {
	t.Parallel()
	needFUSE(t)
	sshfs := tool(t, "sshfs", "sshfs")
	port, key := sshd(t)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	mnt := t.TempDir()
	unmountAtEnd(t, mnt)
	out, ended := run(t, sshfs, me.Username+"@127.0.0.1:"+t.TempDir(), mnt, "-f", "-p", port, "-o", "IdentityFile="+key,
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes")
	waitFor(t, "sshfs (apt)", ended, out, func() bool { return mounted(mnt) })
	conformanceIn(t, mnt)
}

func TestConformanceOnExFAT(t *testing.T) {
	t.Parallel()
	needFUSE(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	mkfs, mount := tool(t, "exfatprogs", "mkfs.exfat"), tool(t, "exfat-fuse", "mount.exfat-fuse")
	image := filepath.Join(t.TempDir(), "stick")
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, 512<<20)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(mkfs, image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.exfat: %v: %s", err, out)
	}
	dev, err := exec.Command("losetup", "--find", "--show", image).Output()
	if err != nil {
		t.Skipf("needs loop devices: %v", err)
	}
	loop := strings.TrimSpace(string(dev))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", loop).CombinedOutput(); err != nil {
			t.Errorf("losetup --detach: %v: %s", err, out)
		}
	})
	mnt := t.TempDir()
	unmountAtEnd(t, mnt)
	out, ended := run(t, mount, "-d", loop, mnt)
	waitFor(t, "exfat-fuse (apt)", ended, out, func() bool { return mounted(mnt) })
	conformanceIn(t, mnt)
}

// conformanceIn runs the suite in folders of a mount, and says what was found out about it.
func conformanceIn(t *testing.T, mnt string) {
	n := 0
	storetest.Run(t, func(t *testing.T) store.Store {
		n++
		s := open(t, filepath.Join(mnt, fmt.Sprint(n)), Options{Create: true})
		var p store.PutIfAbsenter
		atomic := store.As(store.Store(s), &p)
		if n == 1 {
			t.Logf("create-if-absent: %v; hard links: %v; rename without replacing: %v; direct I/O: %v",
				atomic, !s.can.noLink.Load(), !s.can.noNoReplace.Load(), s.local)
		}
		return s
	})
}

// tmpfs mounts a file system in memory.
func tmpfs(t *testing.T, options string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("needs root that may mount: %v", err)
	}
	unmountAtEnd(t, dir)
	return dir
}

func TestADiskThatFillsUpKeepsWhatWasThere(t *testing.T) {
	t.Parallel()
	s := open(t, tmpfs(t, "size=4m"), Options{})
	if err := s.Put(t.Context(), "data/small", store.Bytes("whole")); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "data/big", store.Bytes(make([]byte, 5<<20))); !errors.Is(err, errs.Full) || errs.Hint(err) == "" {
		t.Errorf("put = %v", err)
	}
	var st store.Streamer
	if !store.As(store.Store(s), &st) {
		t.Fatal("no streams")
	}
	w, err := st.Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Write(make([]byte, 5<<20))
	if err == nil {
		err = w.Commit(t.Context(), "data/stream")
	} else if aerr := w.Abort(); aerr != nil {
		t.Error(aerr)
	}
	if !errors.Is(err, errs.Full) {
		t.Errorf("stream = %v", err)
	}
	var names []string
	if err := s.List(t.Context(), "", func(i store.Info) error { names = append(names, i.Name); return nil }); err != nil || len(names) != 1 {
		t.Errorf("list = %q, %v", names, err)
	}
	if got, err := store.ReadAll(t.Context(), s, "data/small", 100); string(got) != "whole" {
		t.Errorf("get = %q, %v", got, err)
	}
	if err := s.Put(t.Context(), "data/fits", store.Bytes(make([]byte, 1<<20))); err != nil {
		t.Errorf("put of what fits: %v", err)
	}
}

func TestAReadOnlyRepositoryIsReadAndDeniesTheRest(t *testing.T) {
	t.Parallel()
	var dir string
	var lock func() error
	if os.Geteuid() == 0 {
		dir = tmpfs(t, "size=4m")
		lock = func() error { return syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, "") }
	} else {
		dir = t.TempDir()
		lock = func() error {
			var all []error
			for _, d := range []string{filepath.Join(dir, tempDir), filepath.Join(dir, "data"), dir} {
				all = append(all, os.Chmod(d, 0o500))        //nolint:gosec // a folder
				t.Cleanup(func() { _ = os.Chmod(d, 0o700) }) //nolint:gosec // so that it can be removed
			}
			return errors.Join(all...)
		}
	}
	s, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Put(t.Context(), "data/a", store.Bytes("a")), s.Close(), lock()); err != nil {
		t.Fatal(err)
	}
	s, err = Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() // nothing was written
	if got, err := store.ReadAll(t.Context(), s, "data/a", 100); string(got) != "a" {
		t.Errorf("get = %q, %v", got, err)
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Errorf("flush of nothing: %v", err)
	}
	var p store.PutIfAbsenter
	if !store.As(store.Store(s), &p) {
		t.Fatal("create-if-absent is not offered, which says more than is known")
	}
	for what, err := range map[string]error{
		"put": s.Put(t.Context(), "data/b", store.Bytes("b")), "create": p.PutIfAbsent(t.Context(), "data/b", store.Bytes("b")), "delete": s.Delete(t.Context(), "data/a"),
	} {
		if !errors.Is(err, errs.Denied) || errs.Hint(err) == "" {
			t.Errorf("%s = %v (hint %q)", what, err, errs.Hint(err))
		}
	}
}
