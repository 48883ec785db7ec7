"""Makes files that are not checkpoints of this model, one for each way of being wrong. Usage: damage.py GOOD FOLDER"""

import json
import os
import struct
import sys

with open(sys.argv[1], "rb") as f:
    good = f.read()
(length,) = struct.unpack("<Q", good[:8])
header, body = json.loads(good[8 : 8 + length]), good[8 + length :]
os.makedirs(sys.argv[2])


def write(name, data):
    with open(os.path.join(sys.argv[2], name + ".safetensors"), "wb") as f:
        f.write(data)


def with_header(text, rest=body):
    text = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(text)) + text + rest


def changed(change):
    copy = json.loads(json.dumps(header))
    change(copy)
    return with_header(json.dumps(copy))


first = next(k for k in header if k != "__metadata__")
write("huge_header", struct.pack("<Q", 100_000_001) + good[8:])
write("header_beyond", struct.pack("<Q", len(good)) + good[8:])
write("not_utf8", with_header(good[8 : 8 + length].replace(b"digits", b"\xff\xfeits", 1)))
write("not_json", with_header(good[8 : 8 + length - 9] + b"         "))
write("bad_offsets", changed(lambda h: h[first].update(data_offsets=[8, 4])))
write("overflow", changed(lambda h: h[first].update(shape=[2**62, 2**62])))
write("hole", with_header(good[8 : 8 + length], body + b"xxxx"))
write("twice", with_header(b'{"' + first.encode() + b'":' + json.dumps(header[first]).encode() + b"," + good[9 : 8 + length]))
write("short", good[:-1])
write("nothing", b"")
for n in (7, 8, 9, 8 + length // 2, 8 + length, 8 + length + 5):
    write(f"cut_{n}", good[:n])
write("elsewhere", with_header('{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"abcd"))
write("other_shape", changed(lambda h: h["dense_1.W"].update(shape=[32, 128])))
write("renamed", changed(lambda h: h.update({"dense_9.W": h.pop("dense_1.W")})))
