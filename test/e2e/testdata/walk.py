"""Lists a tree of any depth: for each object its depth, name, type and mode, owner, time and content.

It goes by directory handles and closes each on the way down, so that neither the length of a path nor the number of
open files limits it.
"""

import hashlib
import os
import stat
import sys

NOFOLLOW = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


def content(name, st, fd):
    if stat.S_ISLNK(st.st_mode):
        return os.readlink(name, dir_fd=fd)
    if not stat.S_ISREG(st.st_mode):
        return "-"
    f = os.open(name, NOFOLLOW, dir_fd=fd)
    with os.fdopen(f, "rb") as r:
        return hashlib.sha256(r.read()).hexdigest()


def listing(fd, depth):
    """Prints what is in a directory and returns the names of its subdirectories."""
    dirs = []
    for name in sorted(os.listdir(fd)):
        st = os.stat(name, dir_fd=fd, follow_symlinks=False)
        size = st.st_size if stat.S_ISREG(st.st_mode) else 0
        print(depth, ascii(name), oct(st.st_mode), st.st_uid, st.st_gid, size, st.st_mtime_ns, content(name, st, fd))
        if stat.S_ISDIR(st.st_mode):
            dirs.append(name)
    return dirs


def main(root):
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    todo = [listing(fd, 0)]
    while todo:
        if todo[-1]:
            child = os.open(todo[-1].pop(0), NOFOLLOW | os.O_DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = child
            todo.append(listing(fd, len(todo)))
            continue
        todo.pop()
        parent = os.open("..", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = parent


main(sys.argv[1])
