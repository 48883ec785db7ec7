"""The door to other frameworks, from the other side: NumPy writes inputs and parameters (NPZ, packed and not, and safetensors
by code of its own), works out forward and backward by hand, and reads what gradc writes. Usage: door.py GRADC
Exit status 77: NumPy is missing, nothing was tested."""
import json
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError:
    print("skipped: NumPy is missing (scripts/setup installs python3-numpy)")
    sys.exit(77)

MODEL = """
model m {
  input  x: [3]
  target y: label[4]
  output scores = x |> dense(5) |> tanh |> dense(4)
  loss   cross_entropy(scores, y)
  metric accuracy(scores, y)
}
data { file = "none.csv"; x = columns(a, b, c) |> scale(7); y = column(y) }
train { optimizer = sgd(0.1); batch = 8; epochs = 1 }
"""
CSV_MODEL = MODEL.replace("none.csv", "d.csv").replace(" |> scale(7)", "")


def write_safetensors(path, arrays):
    names = {"float32": "F32", "float64": "F64", "int32": "I32", "int64": "I64", "uint8": "U8", "bool": "BOOL"}
    header, blob = {}, b""
    for name, a in arrays.items():
        data = np.ascontiguousarray(a).tobytes()
        header[name] = {"dtype": names[a.dtype.name], "shape": list(a.shape), "data_offsets": [len(blob), len(blob) + len(data)]}
        blob += data
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text + blob)


def read_safetensors(path):
    types = {"F32": np.float32, "F64": np.float64, "I32": np.int32, "BOOL": np.bool_}
    with open(path, "rb") as f:
        raw = f.read()
    size = int.from_bytes(raw[:8], "little")
    out = {}
    for name, t in json.loads(raw[8:8 + size]).items():
        if name == "__metadata__":
            continue
        begin, end = (8 + size + k for k in t["data_offsets"])
        out[name] = np.frombuffer(raw[begin:end], types[t["dtype"]]).reshape(t["shape"])
    return out


def forward_backward(p, x, y):
    h = np.tanh(x @ p["dense_1.W"] + p["dense_1.b"])
    scores = h @ p["dense_2.W"] + p["dense_2.b"]
    e = np.exp(scores - scores.max(1, keepdims=True))
    s = e / e.sum(1, keepdims=True)
    n = len(x)
    loss = -np.log(s[np.arange(n), y]).mean()
    d = s.copy()
    d[np.arange(n), y] -= 1
    d /= n
    dh = (d @ p["dense_2.W"].T) * (1 - h * h)
    gradients = {"dense_2.W": h.T @ d, "dense_2.b": d.sum(0), "dense_1.W": x.T @ dh, "dense_1.b": dh.sum(0), "x": dh @ p["dense_1.W"].T}
    return loss, scores, gradients


def close(got, want, tolerance, what):
    assert got.shape == np.shape(want), (what, got.shape, np.shape(want))
    error = np.abs(got - want).max()
    assert error <= tolerance, (what, error)


def gradc(*words):
    done = subprocess.run([GRADC, *words], capture_output=True, text=True)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def evaluate(data, weights, dtype, suffix, want, y, tolerance):
    loss, scores, gradients = want
    o, g = "O" + suffix, "G" + suffix
    gradc("eval", "m.nn", "--data", data, "--weights", weights, "--dtype", dtype, "--write-outputs", o, "--write-gradients", g)
    read = (lambda path: dict(np.load(path))) if suffix == ".npz" else read_safetensors
    outputs, found = read(o), read(g)
    assert outputs["scores"].dtype == (np.float64 if dtype == "f64" else np.float32)
    close(outputs["scores"], scores, tolerance, "scores")
    close(outputs["loss"], loss, tolerance, "loss")
    close(outputs["accuracy"], np.mean(scores.argmax(1) == y), 1e-12, "accuracy")
    close(found["loss"], loss, tolerance, "loss of the gradients")
    assert set(found) - {"loss", "cross_entropy"} == set(gradients), sorted(found)
    for name, value in gradients.items():
        close(found[name], value, tolerance, name)


def main():
    r = np.random.RandomState(3)
    p = {"dense_1.W": r.randn(3, 5), "dense_1.b": r.randn(5), "dense_2.W": r.randn(5, 4), "dense_2.b": r.randn(4)}
    x, y = r.randn(11, 3), r.randint(0, 4, 11)
    with open("m.nn", "w") as f:
        f.write(MODEL)
    want = forward_backward(p, x, y)
    np.savez("W.npz", **p)
    np.savez_compressed("D.npz", x=np.asfortranarray(x), y=y)
    write_safetensors("W.safetensors", p)
    write_safetensors("D.safetensors", {"x": x, "y": y, "unused": np.ones((2, 2), np.float32)})
    evaluate("D.npz", "W.npz", "f64", ".npz", want, y, 1e-12)
    evaluate("D.safetensors", "W.safetensors", "f64", ".safetensors", want, y, 1e-12)
    evaluate("D.npz", "W.safetensors", "f32", ".npz", want, y, 2e-6)
    np.savez("X.npz", x=x)  # outputs alone need no target
    gradc("eval", "m.nn", "--data", "X.npz", "--weights", "W.npz", "--dtype", "f64", "--write-outputs", "X_out.npz")
    close(np.load("X_out.npz")["scores"], want[1], 1e-12, "scores without targets")

    rows = np.round(x, 3)  # the trajectory of a training, step by step, through the data block
    with open("d.csv", "w") as f:
        f.write("a,b,c,y\n" + "".join("%.3f,%.3f,%.3f,%d\n" % (*row, k) for row, k in zip(rows, y)))
    with open("t.nn", "w") as f:
        f.write(CSV_MODEL)
    for suffix in (".npz", ".safetensors"):
        q = {k: v.copy() for k, v in p.items()}
        path = "T" + suffix
        gradc("train", "t.nn", "--weights", "W.npz", "--dtype", "f64", "--steps", "4", "--batch", "8", "--no-shuffle", "--quiet",
              "--write-trajectory", path)
        t = dict(np.load(path)) if suffix == ".npz" else read_safetensors(path)
        assert set(t) == set(p) | {"loss"}
        for step, (begin, end) in enumerate([(0, 8), (8, 11), (0, 8), (8, 11)]):
            loss, _, gradients = forward_backward(q, rows[begin:end], y[begin:end])
            close(t["loss"][step], loss, 1e-12, "loss of step %d" % step)
            for name in p:
                q[name] -= 0.1 * gradients[name]
                close(t[name][step], q[name], 1e-12, "%s after step %d" % (name, step))
        assert len(t["loss"]) == 4
    print("ok: outputs, losses, gradients and trajectories agree with NumPy", np.__version__)


GRADC = os.path.abspath(sys.argv[1])
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    os.environ["XDG_CACHE_HOME"] = os.path.join(folder, "cache")
    main()
    os.chdir("/")
