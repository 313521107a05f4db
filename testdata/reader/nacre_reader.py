#!/usr/bin/python3
"""A second reader of nacre repositories, written from docs/FORMAT.md and docs/format/tree.md alone.

    nacre_reader.py [--keyfile F | --password-file F | --words-file F] REPOSITORY snapshots
    nacre_reader.py ... REPOSITORY list [SNAPSHOT]
    nacre_reader.py ... REPOSITORY restore [SNAPSHOT] DIRECTORY

Without a secret it tries the slots that are open. SNAPSHOT is the beginning of an id; the newest is taken without one.
It needs python3-zstandard, python3-cryptography and python3-argon2, and nothing of nacre. It is slow and strict: every
id, seal, signature and limit that it comes across is checked.
"""
import argparse
import base64
import hashlib
import json
import os
import stat
import struct
import sys
import time

import zstandard
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from blake3 import blake3
from xwing import HPKE, PrivateKey, expand, extract

DIRECTORY = 0xFFFFFFFF
DIR, FILE, SYMLINK, FIFO, SOCKET, CHAR, BLOCK = range(1, 8)
MIB = 1 << 20


class Damaged(Exception):
    """Something is not as the format says."""


def check(condition, what):
    if not condition:
        raise Damaged(what)


class Cursor:
    """Reads the parts of a byte string one after another (section 1)."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def bytes(self, n):
        check(n <= len(self.data) - self.at, "cut short")
        self.at += n
        return self.data[self.at - n:self.at]

    def uv(self, limit=(1 << 64) - 1):
        value, shift = 0, 0
        while True:
            b = self.bytes(1)[0]
            check(not (b == 0 and shift) and shift < 70, "varint is not in its shortest form")
            value |= (b & 127) << shift
            shift += 7
            if b < 128:
                check(value <= limit, "number above its limit")
                return value

    def zz(self):
        u = self.uv()
        return (u >> 1) ^ -(u & 1)

    def str(self, limit):
        return self.bytes(self.uv(limit))

    def more(self):
        return self.at < len(self.data)

    def end(self):
        check(not self.more(), "bytes left over")


def cbor(c, depth=0):
    """One item of deterministic CBOR."""
    check(depth < 9, "CBOR is nested too deeply")
    head = c.bytes(1)[0]
    major, n = head >> 5, head & 31
    if major == 7:
        check(n in (20, 21, 22), "CBOR simple value")
        return {20: False, 21: True, 22: None}[n]
    if n >= 24:
        check(n < 28, "CBOR length")
        width = 1 << (n - 24)
        n = int.from_bytes(c.bytes(width), "big")
        check(n >= (24 if width == 1 else 1 << (4 * width)), "CBOR integer is not in its shortest form")
    if major == 0:
        return n
    if major == 1:
        return -1 - n
    if major == 2:
        return c.bytes(n)
    if major == 3:
        return c.bytes(n).decode()
    check(n <= MIB, "CBOR: too many elements")
    if major == 4:
        return [cbor(c, depth + 1) for _ in range(n)]
    check(major == 5 and n <= 4096, "CBOR type")
    out = {}
    for _ in range(n):
        key = cbor(c, depth + 1)
        check(not out or key > max(out), "CBOR keys are not in order")
        out[key] = cbor(c, depth + 1)
    return out


def record(raw):
    c = Cursor(raw)
    value = cbor(c)
    c.end()
    check(isinstance(value, dict), "record is not a map")
    return value


def sub(secret, purpose, scope, epoch):
    return expand(secret, b"nacre/1 " + purpose + b"\0" + scope + struct.pack("<I", epoch), 32)


def wrap64(x):
    """x modulo 2^64 as a signed number."""
    return (x + (1 << 63)) % (1 << 64) - (1 << 63)


class Sealed:
    """An object with a header: packs, index objects, control objects (section 7)."""

    def __init__(self, data):
        check(len(data) >= 72 and data[:8] == b"NACREPK1" and data[8] == 1, "not an object of this version")
        self.data, self.header = data, data[:72]
        self.cls, self.suite, flags = data[9:10], data[10], data[11]
        (size,) = struct.unpack_from("<I", data, 12)
        check(self.suite in (1, 3) and flags in (0, 1) and size == 1120 * flags and data[36:40] == bytes(4), "header")
        self.domain = data[16:32]
        (self.epoch,) = struct.unpack_from("<I", data, 32)
        self.capsule = data[72:72 + size]
        self.start = 72 + size
        self.hash = blake3(data[:self.start])

    def open(self, ikm, sealed, segno, cap, ids=None):
        """Opens one segment. ids are the 20-byte ids of its blobs, in packs."""
        key = expand(extract(self.header[40:], ikm), b"nacre/1 pack" + self.header[:40], 32)
        number = struct.pack("<I", segno)
        siv = sealed[:16]
        kn = expand(key, b"seg" + number + siv, 44)
        aead = (AESGCM if self.suite == 1 else ChaCha20Poly1305)(kn[:32])
        plain = aead.decrypt(kn[32:], sealed[16:], self.hash + number + self.cls)
        c = Cursor(plain)
        codec, raw_len = c.bytes(1)[0], c.uv(cap)
        payload = plain[c.at:]
        covered = b"".join(ids) if codec == 0 and ids is not None else payload
        want = blake3(number + plain[:c.at] + covered, expand(key, b"siv", 32))[:16]
        check(siv == want, "seal does not cover the content")
        if codec == 1:
            payload = zstandard.ZstdDecompressor(max_window_size=8 * MIB).decompress(payload, max_output_size=raw_len)
        check(codec <= 1 and len(payload) == raw_len, "codec or length of a segment")
        return payload


class Repository:
    """A repository in a folder, opened."""

    def __init__(self, root, secret):
        self.root = root
        info = self.json(self.read("nacre.json"))
        check(info["format"] == "nacre" and info["version"] == 1 and not info["need_read"], "a newer repository")
        self.id = bytes.fromhex(info["repository"])
        self.kek = self.open_slot(secret)
        self.open_ring()
        self.load_fates()

    def read(self, path):
        with open(os.path.join(self.root, path), "rb") as f:
            return f.read()

    def names(self, folder):
        try:
            return sorted(os.listdir(os.path.join(self.root, folder)))
        except FileNotFoundError:
            return []

    # Sections 3 and 4: JSON files and slots.

    @staticmethod
    def cut(data, member):
        """The bytes before the comma in front of a last member, and the member's value."""
        at = data.rfind(b',\n  "' + member + b'": "')
        check(at > 0, "no member " + member.decode())
        return data[:at], data[at + len(member) + 8:data.index(b'"', at + len(member) + 8)]

    def json(self, data):
        check(len(data) <= 65536, "JSON file is too large")
        before, digits = self.cut(data, b"check")
        check(data == before + b',\n  "check": "' + blake3(before).hex().encode() + b'"\n}\n', "check of a JSON file")
        return json.loads(data)

    def open_slot(self, secret):
        kind, given = secret
        for name in self.names("keys"):
            data = self.read("keys/" + name)
            slot = self.json(data)
            check(slot["repository"] == self.id.hex() and slot["slot"] + ".json" == name and slot["version"] == 1, "slot")
            if slot["kind"] != kind:
                continue
            if kind == "password":
                a = slot["argon2id"]
                check(a["memory"] <= MIB and a["time"] <= 16 and a["threads"] <= 16, "Argon2id costs are above the limit")
                key = hash_secret_raw(given, bytes.fromhex(a["salt"]), a["time"], a["memory"], a["threads"], 32, Type.ID, 19)
            else:
                key = given if kind == "keyfile" else bytes.fromhex(slot["secret"])
            pair = PrivateKey(sub(key, b"slot", self.id, 0))
            if pair.public != base64.b64decode(slot["public"], validate=True):
                continue
            before, _ = self.cut(data, b"wrapped")
            wrapped = base64.b64decode(slot["wrapped"], validate=True)
            check(len(wrapped) == 1172, "length of the wrapped key")
            return HPKE(pair, wrapped[:1120], b"nacre/1 slot\0" + before).open(wrapped[1120:])[:32]
        raise Damaged("no key slot opens with this secret")

    # Sections 5 and 11: keyring and control objects.

    def control(self, path, data, outer_key, inner_key):
        """Takes a control object apart: object, outer record, raw inner part, what is signed, signature."""
        o = Sealed(data)
        c = Cursor(data)
        c.at = o.start
        outer = c.bytes(struct.unpack("<I", c.bytes(4))[0])
        inner = c.bytes(struct.unpack("<I", c.bytes(4))[0])
        check(c.bytes(1) == b"\x01", "signature suite")
        signed = data[:c.at]
        signature = c.bytes(64)
        c.end()
        rec = record(o.open(outer_key(o.epoch), outer, 0, 16 * MIB)) if outer_key else None
        raw = None
        if inner:
            ikm = self.capsule_key(o) if o.capsule else inner_key(o.epoch)
            raw = o.open(ikm, inner, 1, 16 * MIB)
        message = blake3(b"nacre/1 " + o.cls + self.id + path.encode() + signed)
        return o, outer, rec, raw, message, signature

    def capsule_key(self, o):
        return HPKE(self.readers_key, o.capsule, b"nacre/1 session").export(b"nacre/1 pack", 32)

    def open_ring(self):
        best = {}
        for name in self.names("ring"):
            data = self.read("ring/" + name)
            check(blake3(data).hex() == name[9:], "name of ring/" + name)
            generation = name[:8]
            try:
                o, outer, _, raw, message, signature = self.control(
                    "ring/" + generation, data, None, lambda epoch: sub(self.kek, b"seal-K", self.id, 0))
            except Exception:  # sealed with another key-encryption key
                continue
            secret = record(raw)
            held = {s[1]: s[2] for s in [secret[4]] if 2 in s}
            check(o.epoch in held, "control secret of the ring")
            public = record(o.open(sub(held[o.epoch], b"seal-R", self.id, o.epoch), outer, 0, 16 * MIB))
            Ed25519PublicKey.from_public_bytes(public[16]).verify(signature, message)
            check(public[1] == 1 and public[2] == self.id and public[3] == int(generation, 16), "ring")
            best.setdefault(generation, []).append((public, secret))
        check(best, "no generation of the ring opens")
        objects = best[max(best)]
        public, secret = objects[0]
        self.ring = public
        self.control_secrets = {s[1]: s[2] for s in public.get(14, []) + [secret[4]] if 2 in s}
        self.reader_secrets = {s[1]: s[2] for s in secret[5] if 2 in s}
        self.readers_key = PrivateKey(secret[6])
        self.domains = {d[1]: d for d in secret[8]}
        # Two clients may have written at once: writers of the others of this generation and of the one before count too.
        before = best.get("%08x" % (public[3] - 1), [])
        self.writers = {blake3(w[1])[:8]: w for p, _ in before + objects[::-1] for w in p.get(13, [])}

    def verified(self, path, cls):
        """The outer and inner record of a control object, or None if it does not verify."""
        def outer_key(epoch):
            return sub(self.control_secrets[epoch], b"seal-" + cls, self.id, epoch)

        def inner_key(epoch):
            return sub(self.reader_secrets[epoch], b"seal-inner", self.id, epoch)
        for place in (path, "dup/" + path):
            try:
                o, _, rec, raw, message, signature = self.control(path, self.read(place), outer_key, inner_key)
                check(o.cls == cls and rec[1] == path, "class or path")
                writer = self.writers[rec[2]]
                Ed25519PublicKey.from_public_bytes(writer[1]).verify(signature, message)
                check(not writer.get(7) or rec.get(3) in writer.get(8, []), "writer is revoked")
                return rec, raw and record(raw), writer
            except FileNotFoundError:
                continue
            except (Damaged, KeyError, InvalidSignature) as e:
                print(f"{place}: {e!r}", file=sys.stderr)
        return None

    # Section 16: what counts.

    def load_fates(self):
        condemned = set()
        for name in self.names("condemned"):
            if name.endswith(".wait"):
                continue
            found = self.verified("condemned/" + name, b"C")
            condemned |= {self.pack_path(p, name) for p in found[0].get(4, [])} if found else set()
        buried = set(self.names("tombstones"))
        eras = sorted(set(self.names("fates")) | set(self.names("dup/fates")))
        fates = []
        for era in eras:
            seen = set(self.names("fates/" + era)) | set(self.names("dup/fates/" + era))
            for sid in sorted(n for n in seen if len(n) == 32):
                if self.ring[10] == 2 and sid + ".killed" in seen:
                    continue
                found = self.verified(f"fates/{era}/{sid}", b"F")
                if not found:
                    continue
                rec, inner, writer = found
                right = {1: 3, 2: 3, 3: 4, 4: 5}.get(rec[5], 0)
                if rec[5] <= 4 and rec[3].hex() == sid and writer[2] & right:
                    fates.append((sid, rec, inner))
        packs, gone = {}, set()
        for sid, rec, _ in fates:
            for p in rec.get(6, []):
                packs[self.pack_path(p, sid)] = p
            if rec[5] == 3:
                gone |= {self.pack_path(p, sid) for p in rec.get(7, [])}
        self.packs = {path: p for path, p in packs.items() if path not in gone}  # condemned ones may still be read
        self.snapshots = [(sid, inner) for sid, rec, inner in fates if rec[5] in (1, 2) and inner and not (
            sid in buried and self.verified("tombstones/" + sid, b"T"))]
        self.snapshots.sort(key=lambda s: s[1].get(6, 0))
        self.blobs = None

    @staticmethod
    def pack_path(p, owner):
        folder = {68: "data", 77: "meta"}[p[0]]
        return f"{folder}/{p[1].hex() or owner}/{p[2]:08x}-{p[4].hex()}"

    # Section 9: packs.

    def load_packs(self):
        """Reads the directory of every pack: where each blob is, by the first 20 bytes of its id."""
        self.blobs, self.segment = {}, (None, None)
        for path, p in self.packs.items():
            try:
                data = self.read(path)
            except FileNotFoundError:
                continue
            check(len(data) == p[3], f"size of {path}")
            check(data[-8:] == b"NACREND1", f"end of {path}")
            o = Sealed(data)
            at, length = struct.unpack_from("<QI", data, len(data) - 24)
            ikm = self.pack_key(o)
            c = Cursor(o.open(ikm, data[at:at + length], DIRECTORY, 64 * MIB))
            check(c.uv() == 1, "version of a directory")
            n_seg, n_blob = c.uv(1 << 24), c.uv(1 << 26)
            seg_len = [c.uv() for _ in range(n_seg)]
            seg_blobs = [c.uv(65535) for _ in range(n_seg)]
            if n_blob:
                kind = c.bytes(1)[0]
                kinds = bytes([kind & 127]) * n_blob if kind & 128 else bytes([kind]) + c.bytes(n_blob - 1)
            raw_len = [c.uv(16 * MIB - 1) for _ in range(n_blob)]
            ids = [c.bytes(20) for _ in range(n_blob)]
            c.bytes(c.uv(1 << 26))
            c.end()
            check(sum(seg_blobs) == n_blob and o.start + sum(seg_len) == at, "directory")
            pos, k = o.start, 0
            for seg, (size, count) in enumerate(zip(seg_len, seg_blobs)):
                off = 0
                for i in range(k, k + count):
                    self.blobs[kinds[i], ids[i]] = (path, pos, size, seg, ids[k:k + count], off, raw_len[i])
                    off += raw_len[i]
                pos, k = pos + size, k + count

    def pack_key(self, o):
        if o.capsule:
            return self.capsule_key(o)
        epochs = {s[1]: s[2] for s in self.domains[o.domain][4] if 2 in s}
        return sub(epochs[o.epoch], b"seal-" + o.cls, o.domain, o.epoch)

    def blob(self, kind, domain, blob_id):
        """A blob by its whole id, verified."""
        if self.blobs is None:
            self.load_packs()
        check((kind, blob_id[:20]) in self.blobs, f"blob {blob_id.hex()} is in no pack")
        path, pos, size, seg, ids, off, length = self.blobs[kind, blob_id[:20]]
        if self.segment[0] != (path, seg):
            data = self.read(path)
            o = Sealed(data)
            self.segment = (path, seg), o.open(self.pack_key(o), data[pos:pos + size], seg, 17 * MIB, ids)
        content = self.segment[1][off:off + length]
        purpose = {1: b"id-data", 2: b"id-tree", 3: b"id-extent"}[kind]
        key = sub(self.domains[domain][3], purpose, domain, 0)
        check(blake3(content, key) == blob_id, f"blob {blob_id.hex()} is not what its id says")
        return content


# docs/format/tree.md

def page(data, kinds):
    """Kind, level, number of items and columns of a page."""
    check(len(data) <= 4 * MIB and data[:2] == b"T1" and data[2] in kinds, "not such a page")
    c = Cursor(data)
    kind, level = c.bytes(4)[2:]
    n, n_cols = c.uv(512), c.uv(64)
    heads = [(c.uv(), c.uv()) for _ in range(n_cols)]
    check(n > 0 and all(a[0] < b[0] for a, b in zip(heads, heads[1:])), "page header")
    cols = {i: Cursor(c.bytes(size)) for i, size in heads}
    c.end()
    return kind, level, n, cols


def finish(cols, known):
    for i, c in cols.items():
        if i in known:
            c.end()
        else:
            check(i % 2 == 0, f"column {i} was made by a newer version")


def times(c, n):
    if c is None:
        return [(0, 0)] * n
    sec, out = 0, []
    for _ in range(n):
        sec = wrap64(sec + c.zz())
        out.append(sec)
    return [(s, c.uv(999_999_999)) for s in out]


def time_codes(c, n, mtimes):
    out, prev = [None] * n, mtimes[0]
    for i in range(n) if c else ():
        code = c.uv()
        if code == 0:
            continue
        if code == 1:
            prev = mtimes[i]
        elif code == 3:
            prev = (wrap64(prev[0] + c.zz()), c.uv(999_999_999))
        elif code >= 4:
            d = (code - 4 >> 1) ^ -(code - 4 & 1)
            sec, nsec = divmod(prev[1] + d, 10**9)
            prev = (wrap64(prev[0] + sec), nsec)
        out[i] = prev
    return out


def sparse(c, n):
    """The indexes of a sparse column; the caller reads the values."""
    i = first = 0
    while c and c.more():
        d = c.uv(n - 1)
        check(d > 0 or not first, "sparse column")
        i, first = i + d, 1
        check(i < n, "sparse column")
        yield i


def good_name(b):
    check(0 < len(b) <= 65535 and b not in (b".", b"..") and b"/" not in b and b"\0" not in b, "name")
    return b


def leaf(data, common):
    """The entries of a leaf, as dicts, in order."""
    _, level, n, cols = page(data, (1,))
    check(level == 0, "level of a leaf")
    get = cols.get
    entries = [{"xattrs": [], "links": 1, "group": None, "token": None, "flags": (0, 0), "marks": (0, 0, b""), "fs": b""} for _ in range(n)]
    runs, where = [], []
    if 33 in cols:
        while cols[33].more():
            count, kept, new = cols[33].uv(n), cols[33].uv(4096), cols[33].uv(4096)
            check(count > 0 and kept <= len(where) and (new or not runs), "runs")
            where = where[:kept] + [good_name(cols[33].str(65535)) for _ in range(new)]
            check(not runs or where > runs[-1][1], "directories are not in order")
            runs.append((count, where))
    else:
        runs = [(n, [])]
    check(sum(r[0] for r in runs) == n, "runs")
    lens = [(cols[1].uv(65535), cols[1].uv(65535)) for _ in range(n)]
    i = 0
    for count, where in runs:
        name = None
        for k in range(count):
            shared, size = lens[i]
            before, name = name, (name or b"")[:shared] + cols[1].bytes(size)
            check(shared <= len(before or b"") and (before is None or name > before), "names are not in order")
            if name or i or common or where:
                good_name(name)
            entries[i]["dir"], entries[i]["name"] = common + where, name
            i += 1
    rows, a = [], cols[3]
    while a.more():
        rows.append((a.bytes(1)[0], a.uv(0o7777), a.uv(2**32 - 1), a.uv(2**32 - 1), a.str(255), a.str(255)))
    mtimes = times(get(7), n)
    changes, births, inode = time_codes(get(2), n, mtimes), time_codes(get(8), n, mtimes), 0
    for i, e in enumerate(entries):
        e["type"], e["mode"], e["uid"], e["gid"], e["user"], e["group_name"] = rows[cols[5].uv() if 5 in cols else 0]
        e["mtime"], e["ctime"], e["btime"] = mtimes[i], changes[i], births[i]
        inode = (inode + cols[4].zz()) % 2**64 if 4 in cols else 0
        e["inode"] = inode
        if e["type"] == FILE:
            e["size"] = cols[9].uv(2**63 - 1) if 9 in cols else 0
            content = cols[11].uv(21) if 11 in cols else 0
            e["inline"] = cols[15].str(128) if content == 1 else None
            e["ids"] = [cols[13].bytes(32) for _ in range(content - 1)] if 2 <= content <= 5 else []
            e["extents"] = (cols[13].bytes(32), content - 6) if content >= 6 else None
        elif e["type"] == SYMLINK:
            size = cols[17].uv(257) if 17 in cols else 0
            e["target"] = cols[17].bytes(size) if size <= 256 else None
            e["target_blob"] = cols[17].bytes(32) if size == 257 else None
        elif e["type"] in (CHAR, BLOCK):
            e["device"] = (cols[19].uv(2**32 - 1), cols[19].uv(2**32 - 1)) if 19 in cols else (0, 0)
    if 6 in cols:
        table = [cols[6].str(255) for _ in range(cols[6].uv(n))]
        for i in sparse(cols[6], n):
            v = cols[6].uv(len(table))
            for e in entries[i:]:
                e["fs"] = table[v - 1] if v else b""
    for i in sparse(get(16), n):
        entries[i]["token"] = cols[16].str(64)
    for i in sparse(get(21), n):
        entries[i]["links"], entries[i]["group"] = cols[21].uv(2**32 - 1), cols[21].bytes(16)
    if 23 in cols:
        sets = []
        for _ in range(cols[23].uv(n)):
            attrs = []
            for _ in range(cols[23].uv(4096)):
                name, size = cols[23].str(1024), cols[23].uv(16 * MIB - 1)
                attrs.append((name, cols[23].bytes(size), None) if size <= 256 else (name, None, cols[23].bytes(32)))
            sets.append(attrs)
        for i in sparse(cols[23], n):
            entries[i]["xattrs"] = sets[cols[23].uv()]
    for i in sparse(get(29), n):
        entries[i]["flags"] = cols[29].uv(2**32 - 1), cols[29].uv(2**32 - 1)
    for i in sparse(get(31), n):
        marks, error = cols[31].bytes(1)[0], cols[31].uv(8)
        entries[i]["marks"] = marks, error, cols[31].str(255) if error else b""
    finish(cols, {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 15, 16, 17, 19, 21, 23, 29, 31, 33})
    return entries


def children(data, level, common):
    """The references in an interior page: common directory, first key, id, totals."""
    _, found, n, cols = page(data, (2,))
    check(found == level, "level of an interior page")
    lens = [cols[1].uv(65535) for _ in range(n)]
    newest, first, out = times(cols.get(7), n), [], []
    for i in range(n):
        name, c = cols[1].bytes(lens[i]), cols.get(33)
        shared, kept, new = (c.uv(4096), c.uv(len(first)), c.uv(4096)) if c else (0, 0, 0)
        first = first[:kept] + [good_name(c.str(65535)) for _ in range(new)]
        check(shared <= len(first), "directories")
        totals = cols[35].uv(), cols[37].uv() if 37 in cols else 0, cols[39].uv() if 39 in cols else 0, newest[i]
        out.append((level - 1, cols[13].bytes(32), common + first[:shared], (common + first, name), totals))
    finish(cols, {1, 7, 13, 33, 35, 37, 39})
    return out


def reference(raw):
    c = Cursor(raw)
    level, root, common = c.uv(31), c.bytes(32), c.str(MIB)
    rest, name = c.str(MIB), c.str(65535)
    split = lambda p: p.split(b"/") if p else []
    totals = c.uv(), c.uv(), c.uv(), (c.zz(), c.uv(999_999_999))
    c.end()
    return level, root, split(common), (split(common) + split(rest), name), totals


def walk(repo, domain, ref):
    """Every entry below a reference, in key order; totals and first keys are compared on the way."""
    level, root, common, first, totals = ref
    data = repo.blob(2, domain, root)
    if level == 0:
        entries = leaf(data, common)
        files = [e for e in entries if e["type"] == FILE]
        found = len(entries), sum(e["size"] for e in files), sum(e["size"] for e in files if e["links"] > 1), max(e["mtime"] for e in entries)
        check((found, (entries[0]["dir"], entries[0]["name"])) == (totals, first), "leaf and its reference differ")
        yield from entries
        return
    kids = children(data, level, common)
    sums = [sum(k[4][i] for k in kids) for i in range(3)]
    check((*sums, max(k[4][3] for k in kids)) == totals and kids[0][3] == first, "page and its reference differ")
    for kid in kids:
        yield from walk(repo, domain, kid)


def extents(repo, domain, root, level):
    """(length, id or None) for each stretch of a file."""
    kind, found, n, cols = page(repo.blob(3, domain, root), (3, 4))
    check(found == level and (kind == 3) == (level == 0), "level of an extent list")
    for _ in range(n):
        size = cols[1].uv()
        if level:
            yield from extents(repo, domain, cols[13].bytes(32), level - 1)
        elif size & 1:
            yield size >> 1, None
        else:
            yield size >> 1, cols[13].bytes(32)
    finish(cols, {1, 13})


def write_content(repo, domain, e, f):
    if e["inline"] is not None:
        f.write(e["inline"])
    for i in e["ids"]:
        f.write(repo.blob(1, domain, i))
    for size, i in extents(repo, domain, *e["extents"]) if e["extents"] else ():
        if i is None:
            f.seek(size, os.SEEK_CUR)
            continue
        data = repo.blob(1, domain, i)
        check(len(data) == size, "length of an extent")
        f.write(data)
    f.truncate(f.tell())
    check(f.tell() == e["size"] or e["marks"][0] or e["marks"][1], "length of a file")


def restore(repo, snapshot, target):
    """Writes a snapshot below target, which must not exist. Owners are set for root only."""
    os.mkdir(target)
    target = os.fsencode(target)
    domain, links, late = snapshot[10], {}, []
    for e in walk(repo, domain, reference(snapshot[9])):
        path = b"/".join([target, *e["dir"], *([e["name"]] if e["name"] else [])])
        if e["type"] == DIR:
            if e["name"]:
                os.mkdir(path, 0o700)
            late.append((path, e))
            continue
        key = e["group"], str(e.get("ids")), str(e.get("extents")), e.get("inline"), e.get("target"), e.get("device")
        if e["group"] and e["group"] != bytes(16) and key in links:
            os.link(links[key], path, follow_symlinks=False)
            continue
        links.setdefault(key, path)
        if e["type"] == FILE:
            with open(path, "xb") as f:
                write_content(repo, domain, e, f)
        elif e["type"] == SYMLINK:
            os.symlink(e["target"] if e["target_blob"] is None else repo.blob(1, domain, e["target_blob"]), path)
        elif e["type"] == FIFO:
            os.mkfifo(path)
        elif e["type"] in (CHAR, BLOCK) and os.geteuid() == 0:
            os.mknod(path, 0o600 | {CHAR: stat.S_IFCHR, BLOCK: stat.S_IFBLK}[e["type"]], os.makedev(*e["device"]))
        else:
            print(f"not made: {os.fsdecode(path)}", file=sys.stderr)
            continue
        metadata(repo, domain, path, e)
    for path, e in reversed(late):
        metadata(repo, domain, path, e)


def metadata(repo, domain, path, e):
    if os.geteuid() == 0:
        os.chown(path, e["uid"], e["gid"], follow_symlinks=False)
    for name, value, i in e["xattrs"]:
        try:
            os.setxattr(path, name, value if i is None else repo.blob(1, domain, i), follow_symlinks=False)
        except OSError as err:
            print(f"attribute of {os.fsdecode(path)}: {err}", file=sys.stderr)
    if e["type"] != SYMLINK:
        os.chmod(path, e["mode"])
    if not e["marks"][0] & 1:
        sec, nsec = e["mtime"]
        os.utime(path, ns=(sec * 10**9 + nsec,) * 2, follow_symlinks=False)


def read_keyfile(text):
    """The 32 bytes of a keyfile or of 24 recovery words."""
    line = " ".join(x for x in text.splitlines() if x.strip() and not x.startswith("#")).split()
    if line[0] == "nacre-key-1":
        key = bytes.fromhex(line[1])
        check(blake3(b"nacre/1 keyfile\0" + key)[:4].hex() == line[2], "keyfile")
        return key
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.environ.get("BIP39_ENGLISH", os.path.join(here, "../../internal/crypt/english.txt"))) as f:
        words = f.read().split()
    check(len(line) == 24, "24 words are wanted")
    bits = 0
    for w in line:
        bits = bits << 11 | words.index(w.lower())
    key = (bits >> 8).to_bytes(32, "big")
    check(hashlib.sha256(key).digest()[0] == bits & 255, "checksum of the words")
    return key


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--keyfile")
    p.add_argument("--password-file")
    p.add_argument("--words-file")
    p.add_argument("repository")
    p.add_argument("command", choices=["snapshots", "list", "restore"])
    p.add_argument("arguments", nargs="*")
    a = p.parse_args()
    secret = ("open", None)
    if a.password_file:
        with open(a.password_file, "rb") as f:
            secret = ("password", f.read().removesuffix(b"\n"))
    elif a.keyfile or a.words_file:
        with open(a.keyfile or a.words_file) as f:
            secret = ("keyfile", read_keyfile(f.read()))
    repo = Repository(a.repository, secret)
    if a.command == "snapshots":
        for sid, s in repo.snapshots:
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(s.get(6, 0) // 10**9))
            print(sid, when, s.get(1, ""), s.get(5, ""), *(os.fsdecode(r) for r in s.get(3, [])))
        return
    start = a.arguments[0] if len(a.arguments) > (a.command == "restore") else ""
    found = [s for sid, s in repo.snapshots if sid.startswith(start)]
    check(found, "no such snapshot")
    if a.command == "restore":
        restore(repo, found[-1], a.arguments[-1])
        return
    for e in walk(repo, found[-1][10], reference(found[-1][9])):
        path = b"/".join([*e["dir"], e["name"]])
        sys.stdout.buffer.write(b"%s %04o %d %s\n" % (b".dflpscb"[e["type"]:e["type"] + 1], e["mode"], e.get("size", 0), path))


if __name__ == "__main__":
    sys.setrecursionlimit(5000)
    main()
