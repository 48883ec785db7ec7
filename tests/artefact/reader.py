"""What the tests of built packages share: another reader of safetensors than ours, and calls that must be refused."""

import json
import struct

import numpy as np


def read_safetensors(path):
    """Another reader than ours: the format in ten lines."""
    with open(path, "rb") as f:
        data = f.read()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    types = {"F32": "<f4", "F64": "<f8", "I32": "<i4", "BOOL": "?"}
    found = {}
    for name, t in header.items():
        if name != "__metadata__":
            begin, end = t["data_offsets"]
            found[name] = np.frombuffer(data[8 + length + begin : 8 + length + end], types[t["dtype"]]).reshape(t["shape"])
    return found


def refused(kind, words, call):
    try:
        call()
    except kind as e:
        assert words in str(e), f"{words!r} is not in: {e}"
        return
    raise AssertionError(f"not refused: {words}")
