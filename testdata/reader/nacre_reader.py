#!/usr/bin/python3
"""A second reader of nacre repositories, written from docs/FORMAT.md and docs/format/tree.md alone.

    nacre_reader.py [--keyfile F | --password-file F | --words-file F] REPOSITORY snapshots
    nacre_reader.py ... REPOSITORY list [SNAPSHOT]
    nacre_reader.py ... REPOSITORY restore [SNAPSHOT] DIRECTORY

Without a secret it tries the slots that are open. SNAPSHOT is the beginning of an id; the newest is taken without one.
It needs python3-zstandard, python3-cryptography and python3-argon2, and nothing of nacre. It verifies every seal,
signature and id, and passes over what a restore does not need: index objects, and times other than the modification's.
"""
import argparse
import base64
import hashlib
import json
import os
import struct
import sys
import time

import zstandard
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from blake3 import blake3
from xwing import HPKE, PrivateKey, expand, extract

DIRECTORY = 0xFFFFFFFF
DIR, FILE, SYMLINK, FIFO = range(1, 5)  # then sockets, character and block devices
PACK_FOLDERS = {68: "data", 77: "meta"}
ID_PURPOSES = {1: b"id-data", 2: b"id-tree", 3: b"id-extent"}
RIGHTS = {1: 3, 2: 3, 3: 4, 4: 5}  # by the kind of a fate: the rights of its writer, any of which will do
MIB = 1 << 20
ENGLISH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../internal/crypt/english.txt")


class Damaged(Exception):
    """Something is not as the format says."""


def check(condition, what):
    if not condition:
        raise Damaged(what)


class Cursor:
    """Reads the parts of a byte string one after another (section 1)."""

    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def bytes(self, n):
        check(n <= len(self.data) - self.at, "cut short")
        self.at += n
        return self.data[self.at - n:self.at]

    def u32(self):
        return int.from_bytes(self.bytes(4), "little")

    def uv(self):
        value = shift = 0
        while True:
            byte = self.bytes(1)[0]
            check((byte or not shift) and shift < 70, "varint is not in its shortest form")
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def zz(self):
        u = self.uv()
        return (u >> 1) ^ -(u & 1)

    def str(self):
        return self.bytes(self.uv())

    def more(self):
        return self.at < len(self.data)

    def end(self):
        check(not self.more(), "bytes left over")


def cbor(c):
    """One item of deterministic CBOR."""
    head = c.bytes(1)[0]
    major, n = head >> 5, head & 31
    if major == 7:
        return {20: False, 21: True}[n]
    if n >= 24:
        n = int.from_bytes(c.bytes(1 << (n - 24)), "big")
    if major <= 1:
        return n if major == 0 else -1 - n
    if major <= 3:
        return c.bytes(n) if major == 2 else c.bytes(n).decode()
    check(major <= 5, "CBOR type")
    if major == 4:
        return [cbor(c) for _ in range(n)]
    return {cbor(c): cbor(c) for _ in range(n)}


def sub(secret, purpose, scope, epoch):
    return expand(secret, b"nacre/1 " + purpose + b"\0" + scope + struct.pack("<I", epoch), 32)


def wrap64(x):
    """x modulo 2^64 as a signed number."""
    return (x + (1 << 63)) % (1 << 64) - (1 << 63)


def secrets(maps):
    """A list of secrets (section 5) by epoch."""
    return {s[1]: s[2] for s in maps if 2 in s}


class Sealed:
    """An object with a header: packs, index objects, control objects (section 7)."""

    def __init__(self, data):
        check(len(data) >= 72 and data[:9] == b"NACREPK1\x01", "not an object of this version")
        self.header, self.cls, self.suite = data[:72], data[9:10], data[10]
        flags, size, self.domain, self.epoch, zero = struct.unpack_from("<BI16sII", data, 11)
        check(self.suite in (1, 3) and flags in (0, 1) and size == 1120 * flags and zero == 0, "header")
        self.start = 72 + size
        self.capsule = data[72:self.start]
        self.hash = blake3(data[:self.start])

    def open(self, ikm, sealed, segno, limit, ids=None):
        """Opens one segment. ids are those of its blobs, in packs."""
        number = struct.pack("<I", segno)
        siv = sealed[:16]
        key = expand(extract(self.header[40:], ikm), b"nacre/1 pack" + self.header[:40], 32)
        kn = expand(key, b"seg" + number + siv, 44)
        aead = (AESGCM if self.suite == 1 else ChaCha20Poly1305)(kn[:32])
        plain = aead.decrypt(kn[32:], sealed[16:], self.hash + number + self.cls)
        c = Cursor(plain)
        codec, raw_len = c.bytes(1)[0], c.uv()
        payload = plain[c.at:]
        covered = b"".join(ids) if codec == 0 and ids is not None else payload
        check(siv == blake3(number + plain[:c.at] + covered, expand(key, b"siv", 32))[:16], "seal and content differ")
        check(codec <= 1 and raw_len <= limit, "codec or length of a segment")
        if codec == 1:
            payload = zstandard.ZstdDecompressor(max_window_size=8 * MIB).decompress(payload, max_output_size=raw_len)
        check(len(payload) == raw_len, "length of a segment")
        return payload


class Control(Sealed):
    """A control object, taken apart (section 11). path is that which its signature covers."""

    def __init__(self, data, path, repository):
        super().__init__(data)
        c = Cursor(data, self.start)
        self.outer, self.inner = c.bytes(c.u32()), c.bytes(c.u32())
        check(c.bytes(1) == b"\x01", "signature suite")
        self.message = blake3(b"nacre/1 " + self.cls + repository + path.encode() + data[:c.at])
        self.signature = c.bytes(64)
        c.end()
        self.repository = repository

    def outer_record(self, control_secrets):
        key = sub(control_secrets[self.epoch], b"seal-" + self.cls, self.repository, self.epoch)
        return cbor(Cursor(self.open(key, self.outer, 0, 16 * MIB)))

    def inner_record(self, key):
        return cbor(Cursor(self.open(key, self.inner, 1, 16 * MIB)))

    def verify(self, public):
        Ed25519PublicKey.from_public_bytes(public).verify(self.signature, self.message)


def before_member(data, member):
    """The bytes of a JSON file before the comma in front of one of its last members."""
    at = data.rfind(b',\n  "' + member + b'": "')
    check(at > 0, "no member " + member.decode())
    return data[:at]


def parse_json(data):
    """A JSON file, its own check compared (section 3)."""
    before = before_member(data, b"check")
    check(data == before + b',\n  "check": "' + blake3(before).hex().encode() + b'"\n}\n', "check of a JSON file")
    return json.loads(data)


class Repository:
    """A repository in a folder, opened."""

    def __init__(self, root, kind, secret):
        self.root = root
        info = parse_json(self.read("nacre.json"))
        check(info["format"] == "nacre" and info["version"] == 1 and not info["need_read"], "format is too new")
        self.id = bytes.fromhex(info["repository"])
        self.open_ring(self.open_slot(kind, secret))
        self.load_fates()
        self.blobs = {}
        self.segment = None, None  # the segment opened last: its place and its content

    def read(self, path):
        with open(os.path.join(self.root, path), "rb") as f:
            return f.read()

    def names(self, folder):
        try:
            return sorted(os.listdir(os.path.join(self.root, folder)))
        except FileNotFoundError:
            return []

    def open_slot(self, kind, secret):
        """The key-encryption key, by the first slot that opens (section 4)."""
        for name in self.names("keys"):
            data = self.read("keys/" + name)
            slot = parse_json(data)
            check(slot["repository"] == self.id.hex() and slot["slot"] + ".json" == name, "slot of something else")
            if slot["kind"] != kind:
                continue
            key = secret
            if kind == "open":
                key = bytes.fromhex(slot["secret"])
            elif kind == "password":
                costs = slot["argon2id"]
                passes, memory, lanes = costs["time"], costs["memory"], costs["threads"]
                check(memory <= MIB and passes <= 16 and lanes <= 16, "Argon2id costs are above the limit")
                key = hash_secret_raw(secret, bytes.fromhex(costs["salt"]), passes, memory, lanes, 32, Type.ID, 19)
            pair = PrivateKey(sub(key, b"slot", self.id, 0))
            if pair.public == base64.b64decode(slot["public"], validate=True):
                wrapped = base64.b64decode(slot["wrapped"], validate=True)
                info = b"nacre/1 slot\0" + before_member(data, b"wrapped")
                return HPKE(pair, wrapped[:1120], info).open(wrapped[1120:])[:32]
        raise Damaged("no key slot opens with this secret")

    def open_ring(self, kek):
        """Takes the keys from the keyring (sections 5 and 16.1)."""
        rings = {}
        for name in self.names("ring"):
            data = self.read("ring/" + name)
            check(blake3(data).hex() == name[9:], "name of ring/" + name)
            o = Control(data, "ring/" + name[:8], self.id)
            try:
                secret = o.inner_record(sub(kek, b"seal-K", self.id, 0))
            except InvalidTag:  # a generation of another key-encryption key
                continue
            public = o.outer_record(secrets([secret[4]]))
            o.verify(public[16])
            check(public[1] == 1 and public[2] == self.id and public[3] == int(name[:8], 16), "ring/" + name)
            rings.setdefault(public[3], []).append((public, secret))
        check(rings, "no generation of the ring opens")
        newest = max(rings)
        public, secret = rings[newest][0]
        self.control_secrets = secrets(public.get(14, []) + [secret[4]])
        self.reader_secrets = secrets(secret[5])
        self.readers_key = PrivateKey(secret[6])
        self.domains = {d[1]: d for d in secret[8]}
        self.register_class = public[10] == 2
        # Two clients may have written at once: writers of the others of this generation and the one before count.
        joined = rings.get(newest - 1, []) + rings[newest][::-1]
        self.writers = {blake3(w[1])[:8]: w for p, _ in joined for w in p.get(13, [])}

    def input_key(self, o, purpose, scope, by_epoch):
        """The key from which the segments of an object are opened, by its capsule or by its epoch."""
        if o.capsule:
            return HPKE(self.readers_key, o.capsule, b"nacre/1 session").export(b"nacre/1 pack", 32)
        return sub(by_epoch[o.epoch], purpose, scope, o.epoch)

    def verified(self, path, cls):
        """Outer record, inner record and writer of the control object at path or of its second copy (section 16.1).

        None if neither verifies.
        """
        for place in (path, "dup/" + path):
            try:
                o = Control(self.read(place), path, self.id)
                outer, inner = o.outer_record(self.control_secrets), None
                writer = self.writers[outer[2]]
                o.verify(writer[1])
                check(o.cls == cls and outer[1] == path and outer[3].hex() == path[-32:], "class, path or session")
                check(not writer.get(7) or cls == b"F" and outer[3] in writer.get(8, []), "writer is revoked")
                if o.inner:
                    inner = o.inner_record(self.input_key(o, b"seal-inner", self.id, self.reader_secrets))
                return outer, inner, writer
            except FileNotFoundError:
                continue
            except (Damaged, KeyError, InvalidSignature, InvalidTag) as e:
                print(f"{place}: {e!r}", file=sys.stderr)
        return None

    def load_fates(self):
        """Finds what is committed: packs, and snapshots by time (section 16.2).

        Packs that a pruner will delete or has deleted are among them: what is still there may be read.
        """
        self.packs, self.snapshots = {}, []
        buried = self.names("tombstones")
        for era in sorted({*self.names("fates"), *self.names("dup/fates")}):
            names = {*self.names("fates/" + era), *self.names("dup/fates/" + era)}
            for sid in sorted(n for n in names if len(n) == 32):
                found = self.verified(f"fates/{era}/{sid}", b"F")
                if not found or self.register_class and sid + ".killed" in names:
                    continue
                fate, snapshot, writer = found
                if not writer[2] & RIGHTS.get(fate[5], 0):
                    continue
                for cls, session, n, size, name in fate.get(6, []):
                    self.packs[f"{PACK_FOLDERS[cls]}/{session.hex() or sid}/{n:08x}-{name.hex()}"] = size
                if snapshot and not (sid in buried and self.verified("tombstones/" + sid, b"T")):
                    self.snapshots.append((sid, snapshot))
        self.snapshots.sort(key=lambda s: s[1].get(6, 0))

    def pack_key(self, o):
        return self.input_key(o, b"seal-" + o.cls, o.domain, secrets(self.domains[o.domain][4]))

    def load_packs(self):
        """Reads the directory of every pack (section 9): where each blob is, by its kind and the start of its id."""
        for path, length in self.packs.items():
            try:
                data = self.read(path)
            except FileNotFoundError:
                continue
            check(len(data) == length and data[-8:] == b"NACREND1", f"size or end of {path}")
            o = Sealed(data)
            at, size = struct.unpack_from("<QI", data, len(data) - 24)
            c = Cursor(o.open(self.pack_key(o), data[at:at + size], DIRECTORY, 64 * MIB))
            check(c.uv() == 1, "version of a directory")
            n_segments, n_blobs = c.uv(), c.uv()
            segment_sizes = [c.uv() for _ in range(n_segments)]
            segment_blobs = [c.uv() for _ in range(n_segments)]
            kinds = c.bytes(1)
            kinds = bytes([kinds[0] & 127]) * n_blobs if kinds[0] & 128 else kinds + c.bytes(n_blobs - 1)
            blob_sizes = [c.uv() for _ in range(n_blobs)]
            ids = [c.bytes(20) for _ in range(n_blobs)]
            c.str()  # padding
            c.end()
            position, first = o.start, 0
            for number, (size, count) in enumerate(zip(segment_sizes, segment_blobs)):
                place = path, position, size, number, ids[first:first + count]
                offset = 0
                for i in range(first, first + count):
                    self.blobs[kinds[i], ids[i]] = place, offset, blob_sizes[i]
                    offset += blob_sizes[i]
                position, first = position + size, first + count
            check(first == n_blobs and position == at, "directory")

    def blob(self, kind, domain, blob_id):
        """A blob, verified by its whole id."""
        check((kind, blob_id[:20]) in self.blobs, f"blob {blob_id.hex()} is in no pack")
        place, offset, length = self.blobs[kind, blob_id[:20]]
        if self.segment[0] != place:
            path, position, size, number, ids = place
            data = self.read(path)
            o = Sealed(data)
            self.segment = place, o.open(self.pack_key(o), data[position:position + size], number, 17 * MIB, ids)
        content = self.segment[1][offset:offset + length]
        key = sub(self.domains[domain][3], ID_PURPOSES[kind], domain, 0)
        check(blake3(content, key) == blob_id, f"blob {blob_id.hex()} is not what its id says")
        return content


# docs/format/tree.md

def page(data, kind, level, known):
    """The number of items and the columns of a page; known are the columns that the caller knows."""
    check(len(data) <= 4 * MIB and data[:4] == b"T1" + bytes([kind, level]), "not such a page")
    c = Cursor(data, 4)
    n, n_columns = c.uv(), c.uv()
    check(0 < n <= 512 and n_columns <= 64, "page header")
    heads = [(c.uv(), c.uv()) for _ in range(n_columns)]
    columns = {i: Cursor(c.bytes(size)) for i, size in heads}
    c.end()
    check(all(i in known or i % 2 == 0 for i in columns), "the page was made by a newer version")
    return n, columns


def value(columns, i, read, default=0):
    """The next value of a column, or the default if the column is absent."""
    return read(columns[i]) if i in columns else default


def sparse(columns, i, n):
    """The indexes of a sparse column; the caller reads the values."""
    index, c = 0, columns.get(i)
    while c and c.more():
        index += c.uv()
        check(index < n, "sparse column")
        yield index


def component(name):
    check(name not in (b"", b".", b"..") and b"/" not in name and b"\0" not in name, "name")
    return name


def directory_after(before, c):
    """The next directory of a column 33."""
    kept, new = c.uv(), c.uv()
    return before[:kept] + [component(c.str()) for _ in range(new)]


def leaf(data, common):
    """The entries of a leaf, as dicts, in order."""
    n, cols = page(data, 1, 0, {1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 29, 31, 33})
    entries = [{"xattrs": [], "group": bytes(16), "marks": (0, 0), "size": 0} for _ in range(n)]
    runs, directory = [], []
    while 33 in cols and cols[33].more():
        count = cols[33].uv()
        directory = directory_after(directory, cols[33])
        runs += [common + directory] * count
    runs = runs or [common] * n
    check(len(runs) == n, "runs")
    lengths = [(cols[1].uv(), cols[1].uv()) for _ in range(n)]
    name = b""
    for e, where, (shared, length) in zip(entries, runs, lengths):
        name = name[:shared] + cols[1].bytes(length)
        e["path"] = [*where, component(name)] if name or where else []
    rows, c = [], cols[3]
    while c.more():
        rows.append((c.bytes(1)[0], c.uv(), c.uv(), c.uv(), c.str(), c.str()))
    seconds = 0
    for e in entries:
        e["type"], e["mode"], e["uid"], e["gid"], *_ = rows[value(cols, 5, Cursor.uv)]
        seconds = wrap64(seconds + value(cols, 7, Cursor.zz))
        e["mtime"] = seconds * 10**9
    for e in entries:
        e["mtime"] += value(cols, 7, Cursor.uv)
        e["content"] = content(e, cols)
    for i in sparse(cols, 21, n):
        cols[21].uv()
        entries[i]["group"] = cols[21].bytes(16)
    if 23 in cols:
        sets = [attributes(cols[23]) for _ in range(cols[23].uv())]
        for i in sparse(cols, 23, n):
            entries[i]["xattrs"] = sets[cols[23].uv()]
    for i in sparse(cols, 31, n):
        entries[i]["marks"] = cols[31].bytes(1)[0], cols[31].uv()
        if entries[i]["marks"][1]:
            cols[31].str()
    return entries


def content(e, cols):
    """What an entry holds, by its type; a file: inline bytes, ids of blobs, and id and level of an extent list."""
    if e["type"] == FILE:
        e["size"] = value(cols, 9, Cursor.uv)
        code = value(cols, 11, Cursor.uv)
        if code == 1:
            return cols[15].str(), (), None
        if code <= 5:
            return b"", tuple(cols[13].bytes(32) for _ in range(code - 1)), None
        return b"", (), (cols[13].bytes(32), code - 6)
    if e["type"] == SYMLINK:
        code = value(cols, 17, Cursor.uv)
        return (cols[17].bytes(code), None) if code <= 256 else (None, cols[17].bytes(32))
    return None


def attributes(c):
    """A set of attributes: name, and value or the id of its blob."""
    found = []
    for _ in range(c.uv()):
        name, size = c.str(), c.uv()
        found.append((name, c.bytes(size), None) if size <= 256 else (name, None, c.bytes(32)))
    return found


def children(data, level, common):
    """Id and common directory of each page below an interior page."""
    n, cols = page(data, 2, level, {1, 7, 13, 33, 35, 37, 39})
    first, found = [], []
    for _ in range(n):
        directory = common
        if 33 in cols:
            shared = cols[33].uv()
            first = directory_after(first, cols[33])
            directory = common + first[:shared]
        found.append((cols[13].bytes(32), directory))
    return found


def walk(repo, domain, level, root, common):
    """Every entry below a page, in key order."""
    data = repo.blob(2, domain, root)
    if level == 0:
        yield from leaf(data, common)
    else:
        for child, directory in children(data, level, common):
            yield from walk(repo, domain, level - 1, child, directory)


def entries_of(repo, snapshot):
    if snapshot[9]:
        c = Cursor(snapshot[9])
        level, root, common = c.uv(), c.bytes(32), c.str()
        yield from walk(repo, snapshot[10], level, root, common.split(b"/") if common else [])


def extents(repo, domain, root, level):
    """(length, id or None) for each stretch of a file."""
    n, cols = page(repo.blob(3, domain, root), 4 if level else 3, level, {1, 13})
    for _ in range(n):
        size = cols[1].uv()
        if level:
            yield from extents(repo, domain, cols[13].bytes(32), level - 1)
        else:
            yield size >> 1, None if size & 1 else cols[13].bytes(32)


def write_file(repo, domain, e, path):
    inline, ids, extent_list = e["content"]
    with open(path, "xb") as f:
        f.write(inline)
        for blob_id in ids:
            f.write(repo.blob(1, domain, blob_id))
        for size, blob_id in extents(repo, domain, *extent_list) if extent_list else ():
            if blob_id is None:
                f.seek(size, os.SEEK_CUR)
            else:
                check(f.write(repo.blob(1, domain, blob_id)) == size, "length of an extent")
        f.truncate(f.tell())
        check(f.tell() == e["size"] or any(e["marks"]), "length of a file")


def restore(repo, snapshot, target):
    """Writes a snapshot below target, which must not exist. Owners are set by root only; devices are not made."""
    os.mkdir(target, 0o700)
    domain, first_links, directories = snapshot[10], {}, []
    for e in entries_of(repo, snapshot):
        path = b"/".join([os.fsencode(target), *e["path"]])
        link = e["group"], e["type"], e["content"]
        if e["type"] == DIR:
            if e["path"]:
                os.mkdir(path, 0o700)
            directories.append((path, e))
        elif e["group"] != bytes(16) and link in first_links:
            os.link(first_links[link], path, follow_symlinks=False)
        elif make(repo, domain, e, path):
            first_links[link] = path
            metadata(repo, domain, e, path)
        else:
            print(f"not made: {os.fsdecode(path)}", file=sys.stderr)
    for path, e in reversed(directories):
        metadata(repo, domain, e, path)


def make(repo, domain, e, path):
    """Makes what is no directory, and says whether it did."""
    marks, error = e["marks"]
    if e["type"] == FILE and marks & 8 and error and e["content"] == (b"", [], None):
        return False  # it could not be read: it is no empty file
    if e["type"] == FILE:
        write_file(repo, domain, e, path)
    elif e["type"] == SYMLINK:
        target, blob_id = e["content"]
        os.symlink(repo.blob(1, domain, blob_id) if blob_id else target, path)
    elif e["type"] == FIFO:
        os.mkfifo(path)
    return e["type"] in (FILE, SYMLINK, FIFO)


def metadata(repo, domain, e, path):
    if os.geteuid() == 0:
        os.chown(path, e["uid"], e["gid"], follow_symlinks=False)
    for name, content, blob_id in e["xattrs"]:
        try:
            os.setxattr(path, name, repo.blob(1, domain, blob_id) if blob_id else content, follow_symlinks=False)
        except OSError as err:
            print(f"attribute of {os.fsdecode(path)}: {err}", file=sys.stderr)
    if e["type"] != SYMLINK:
        os.chmod(path, e["mode"])
    if not e["marks"][0] & 1:  # an implied ancestor has no time
        os.utime(path, ns=(e["mtime"], e["mtime"]), follow_symlinks=False)


def read_keyfile(text):
    """The 32 bytes of a keyfile or of 24 recovery words (section 4)."""
    words = " ".join(x for x in text.splitlines() if not x.startswith("#")).split()
    if words[0] == "nacre-key-1":
        key = bytes.fromhex(words[1])
        check(blake3(b"nacre/1 keyfile\0" + key)[:4].hex() == words[2], "keyfile")
        return key
    with open(ENGLISH) as f:
        english = f.read().split()
    check(len(words) == 24, "24 words are wanted")
    bits = 0
    for w in words:
        bits = bits << 11 | english.index(w.lower())
    key = (bits >> 8).to_bytes(32, "big")
    check(hashlib.sha256(key).digest()[0] == bits & 255, "checksum of the words")
    return key


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for flag in ("--keyfile", "--password-file", "--words-file"):
        p.add_argument(flag, type=argparse.FileType("rb"))
    p.add_argument("repository")
    p.add_argument("command", choices=["snapshots", "list", "restore"])
    p.add_argument("arguments", nargs="*")
    a = p.parse_args()
    kind, secret = "open", None
    if a.password_file:
        kind, secret = "password", a.password_file.read().removesuffix(b"\n")
    elif a.keyfile or a.words_file:
        kind, secret = "keyfile", read_keyfile((a.keyfile or a.words_file).read().decode())
    repo = Repository(a.repository, kind, secret)
    if a.command == "snapshots":
        for sid, s in repo.snapshots:
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(s.get(6, 0) // 10**9))
            print(sid, when, s.get(1, ""), s.get(5, ""), *map(os.fsdecode, s.get(3, [])))
        return
    target = a.arguments.pop() if a.command == "restore" else None
    found = [s for sid, s in repo.snapshots if sid.startswith(a.arguments[0] if a.arguments else "")]
    check(found, "no such snapshot")
    repo.load_packs()
    if target:
        restore(repo, found[-1], target)
        return
    for e in entries_of(repo, found[-1]):
        letter = b".dflpscb"[e["type"]:e["type"] + 1]
        sys.stdout.buffer.write(b"%s %04o %d %s\n" % (letter, e["mode"], e["size"], b"/".join(e["path"])))


if __name__ == "__main__":
    main()
