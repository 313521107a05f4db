"""X-Wing (ML-KEM-768 and X25519) key pairs and decapsulation, and HPKE over it: what a key slot needs to be opened.

Written from FIPS 203, draft-connolly-cfrg-xwing-kem and RFC 9180. It is for reading one's own data: nothing here runs
in constant time.
"""
import hashlib
import hmac

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

Q, N, K, DU, DV = 3329, 256, 3, 10, 4
RAW = serialization.Encoding.Raw, serialization.PublicFormat.Raw


def _rev7(i):
    return int(f"{i:07b}"[::-1], 2)


ZETAS = [pow(17, _rev7(i), Q) for i in range(128)]
GAMMAS = [pow(17, 2 * _rev7(i) + 1, Q) for i in range(128)]


def ntt(f):
    f, i, length = list(f), 1, 128
    while length >= 2:
        for start in range(0, N, 2 * length):
            z, i = ZETAS[i], i + 1
            for j in range(start, start + length):
                t = z * f[j + length] % Q
                f[j + length], f[j] = (f[j] - t) % Q, (f[j] + t) % Q
        length //= 2
    return f


def inverse_ntt(f):
    f, i, length = list(f), 127, 2
    while length <= 128:
        for start in range(0, N, 2 * length):
            z, i = ZETAS[i], i - 1
            for j in range(start, start + length):
                t = f[j]
                f[j], f[j + length] = (t + f[j + length]) % Q, z * (f[j + length] - t) % Q
        length *= 2
    return [x * 3303 % Q for x in f]


def multiply(f, g):
    h = []
    for i in range(128):
        a, b, c, d = f[2 * i], f[2 * i + 1], g[2 * i], g[2 * i + 1]
        h += [(a * c + b * d * GAMMAS[i]) % Q, (a * d + b * c) % Q]
    return h


def add(f, g):
    return [(x + y) % Q for x, y in zip(f, g)]


def encode(f, d):
    bits = sum(x << (d * i) for i, x in enumerate(f))
    return bits.to_bytes(32 * d, "little")


def decode(b, d):
    bits, mask = int.from_bytes(b, "little"), (1 << d) - 1
    return [(bits >> (d * i) & mask) % (Q if d == 12 else 1 << d) for i in range(N)]


def compress(f, d):
    return [((x << d) + Q // 2) // Q % (1 << d) for x in f]


def decompress(f, d):
    return [(x * Q + (1 << (d - 1))) >> d for x in f]


def sample_ntt(seed):
    stream, out, i = hashlib.shake_128(seed).digest(1680), [], 0
    while len(out) < N:
        a, b, c = stream[i:i + 3]
        i += 3
        out += [x for x in (a + 256 * (b % 16), b // 16 + 16 * c) if x < Q]
    return out[:N]


def sample_noise(seed, n):
    bits = int.from_bytes(hashlib.shake_256(seed + bytes([n])).digest(128), "little")
    return [((bits >> 4 * i & 1) + (bits >> 4 * i + 1 & 1) - (bits >> 4 * i + 2 & 1) - (bits >> 4 * i + 3 & 1)) % Q for i in range(N)]


def matrix(rho):
    return [[sample_ntt(rho + bytes([j, i])) for j in range(K)] for i in range(K)]


def keygen(d, z):
    """ML-KEM.KeyGen_internal: the encapsulation key and what decapsulate needs."""
    g = hashlib.sha3_512(d + bytes([K])).digest()
    rho, sigma = g[:32], g[32:]
    a = matrix(rho)
    s = [ntt(sample_noise(sigma, i)) for i in range(K)]
    e = [ntt(sample_noise(sigma, K + i)) for i in range(K)]
    t = []
    for i in range(K):
        row = e[i]
        for j in range(K):
            row = add(row, multiply(a[i][j], s[j]))
        t.append(row)
    ek = b"".join(encode(x, 12) for x in t) + rho
    return ek, (s, ek, z)


def encrypt(ek, m, r):
    t, rho = [decode(ek[384 * i:384 * i + 384], 12) for i in range(K)], ek[384 * K:]
    a = matrix(rho)
    y = [ntt(sample_noise(r, i)) for i in range(K)]
    c = b""
    for i in range(K):
        u = [0] * N
        for j in range(K):
            u = add(u, multiply(a[j][i], y[j]))
        c += encode(compress(add(inverse_ntt(u), sample_noise(r, K + i)), DU), DU)
    v = [0] * N
    for j in range(K):
        v = add(v, multiply(t[j], y[j]))
    v = add(add(inverse_ntt(v), sample_noise(r, 2 * K)), decompress(decode(m, 1), 1))
    return c + encode(compress(v, DV), DV)


def decapsulate(dk, c):
    s, ek, z = dk
    u = [ntt(decompress(decode(c[32 * DU * i:32 * DU * (i + 1)], DU), DU)) for i in range(K)]
    w = [0] * N
    for i in range(K):
        w = add(w, multiply(s[i], u[i]))
    v = decompress(decode(c[32 * DU * K:], DV), DV)
    m = encode(compress([(x - y) % Q for x, y in zip(v, inverse_ntt(w))], 1), 1)
    g = hashlib.sha3_512(m + hashlib.sha3_256(ek).digest()).digest()
    if encrypt(ek, m, g[32:]) != c:
        return hashlib.shake_256(z + c).digest(32)
    return g[:32]


class PrivateKey:
    """The X-Wing key pair of a 32-byte seed."""

    def __init__(self, seed):
        raw = hashlib.shake_256(seed).digest(96)
        ek, self.dk = keygen(raw[:32], raw[32:64])
        self.x = X25519PrivateKey.from_private_bytes(raw[64:])
        self.public = ek + self.x.public_key().public_bytes(*RAW)

    def shared(self, enc):
        ss = decapsulate(self.dk, enc[:1088])
        dh = self.x.exchange(X25519PublicKey.from_public_bytes(enc[1088:]))
        return hashlib.sha3_256(ss + dh + enc[1088:] + self.public[1184:] + bytes.fromhex("5c2e2f2f5e5c")).digest()


SUITE = b"HPKE" + (0x647A).to_bytes(2, "big") + b"\x00\x01" + b"\x00\x02"


def extract(salt, ikm):
    return hmac.digest(salt, ikm, "sha256")


def expand(prk, info, n):
    out, block, i = b"", b"", 1
    while len(out) < n:
        block = hmac.digest(prk, block + info + bytes([i]), "sha256")
        out, i = out + block, i + 1
    return out[:n]


def labeled_extract(salt, label, ikm):
    return extract(salt, b"HPKE-v1" + SUITE + label + ikm)


def labeled_expand(prk, label, info, n):
    return expand(prk, n.to_bytes(2, "big") + b"HPKE-v1" + SUITE + label + info, n)


class HPKE:
    """A recipient's HPKE context in mode base."""

    def __init__(self, private, enc, info):
        context = b"\0" + labeled_extract(b"", b"psk_id_hash", b"") + labeled_extract(b"", b"info_hash", info)
        secret = labeled_extract(private.shared(enc), b"secret", b"")
        self.key = labeled_expand(secret, b"key", context, 32)
        self.nonce = labeled_expand(secret, b"base_nonce", context, 12)
        self.exporter = labeled_expand(secret, b"exp", context, 32)

    def open(self, ciphertext):
        return AESGCM(self.key).decrypt(self.nonce, ciphertext, b"")

    def export(self, context, n):
        return labeled_expand(self.exporter, b"sec", context, n)
