"""Cuts a GGUF into parts as llama.cpp's gguf-split does: all keys in the first, each tensor in one of them."""

import struct

ALIGNMENT = 32
FIXED = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
UINT16, INT32, STRING, ARRAY = 2, 5, 8, 9


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, how):
        (value,) = struct.unpack_from("<" + how, self.data, self.at)
        self.at += struct.calcsize("<" + how)
        return value

    def text(self):
        size = self.number("Q")
        self.at += size
        return self.data[self.at - size : self.at]

    def skip(self, kind):
        if kind == STRING:
            self.text()
        elif kind == ARRAY:
            inner, count = self.number("I"), self.number("Q")
            for _ in range(count):
                self.skip(inner)
        else:
            self.at += FIXED[kind]


def key(name, kind, how, value):
    return struct.pack("<Q", len(name)) + name + struct.pack("<I" + how, kind, value)


def padded(data):
    return data + bytes(-len(data) % ALIGNMENT)


def split(data, count):
    reader = Reader(data)
    assert data[:4] == b"GGUF"
    reader.at = 4
    version, tensors, keys = reader.number("I"), reader.number("Q"), reader.number("Q")
    begin = reader.at
    for _ in range(keys):
        reader.text()
        reader.skip(reader.number("I"))
    all_keys = data[begin : reader.at]
    infos = []
    for _ in range(tensors):
        name = reader.text()
        shape = [reader.number("Q") for _ in range(reader.number("I"))]
        infos.append((name, shape, reader.number("I"), reader.number("Q")))
    start = reader.at + -reader.at % ALIGNMENT
    ends = [info[3] for info in infos[1:]] + [len(data) - start]
    parts = []
    for part in range(count):
        mine = range(part * tensors // count, (part + 1) * tensors // count)
        own = key(b"split.no", UINT16, "H", part) + key(b"split.count", UINT16, "H", count)
        own += key(b"split.tensors.count", INT32, "i", tensors)
        head = b"GGUF" + struct.pack("<IQQ", version, len(mine), 3 + (keys if part == 0 else 0))
        head += (all_keys if part == 0 else b"") + own
        body = b""
        for i in mine:
            name, shape, kind, offset = infos[i]
            head += struct.pack("<Q", len(name)) + name + struct.pack("<I", len(shape))
            head += struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", kind, len(body))
            body += padded(data[start + offset : start + ends[i]])
        parts.append(padded(head) + body)
    return parts
