"""Looks at the packages that options.sh built, each in a process of its own, and at the files, by NumPy alone."""

import json
import subprocess
import sys

import numpy as np

from reader import read_safetensors, refused

table = np.loadtxt("wine.csv", delimiter=",", skiprows=1)[:, :13]
weights, trajectory, outputs = read_safetensors("wine.safetensors"), np.load("trajectory.npz"), np.load("outputs.npz")


def forward(x, p):
    h = np.tanh(x @ p["dense_1.W"].astype(float) + p["dense_1.b"])
    return h @ p["dense_2.W"].astype(float) + p["dense_2.b"]


def files():
    """The checkpoint is the last step of the trajectory, in two formats; and the outputs are those of its parameters."""
    names = [name for name in trajectory if name != "loss"]
    assert sorted(names) == sorted(n for n in weights if "/" not in n) == ["dense_1.W", "dense_1.b", "dense_2.W", "dense_2.b"]
    for name in names:
        assert trajectory[name].dtype == weights[name].dtype == np.float32
        assert trajectory[name].shape == (len(trajectory["loss"]), *weights[name].shape)
        assert trajectory[name][-1].tobytes() == weights[name].tobytes(), name
    assert np.isfinite(trajectory["loss"]).all() and trajectory["loss"][-1] < trajectory["loss"][0]


def begins_with_weights(model, shape=(178, 13)):
    for name in model:
        assert np.array_equal(model[name], weights[name].astype(model[name].dtype)), name
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    return x, model(sample=x)["scores"], forward(x.astype(float), weights)


def check(package, keys):
    sys.path.insert(0, package)
    import wine

    batch = 178 if package != "small" else None
    model = wine.Model(seed=5, batch=batch)
    if package == "plain":
        assert not np.array_equal(model["dense_1.W"], weights["dense_1.W"])  # from the seed
        assert all(model.statistic(k) is None for k in keys)
        return
    x, scores, expected = begins_with_weights(model, (178, 13) if batch else (7, 13))
    if package == "double":
        assert scores.dtype == np.float64 and np.abs(scores - expected).max() < 1e-12
        figures = model.step(sample=x, grower=np.zeros(178, np.int32))
        assert figures["loss"] > 0 and model["dense_1.W"].dtype == np.float64
        return
    if package == "rounded":  # parameters and results stay f32; the products' operands do not
        off = np.abs(scores - expected).max() / np.abs(expected).max()
        assert scores.dtype == model["dense_1.W"].dtype == np.float32 and 1e-5 < off < 2e-2, off
        assert model.step(sample=x, grower=np.zeros(178, np.int32))["loss"] > 0
        return
    assert scores.dtype == np.float32 and np.abs(scores - expected).max() < 1e-4
    if package == "npz":
        assert all(model.statistic(k) is None for k in keys)
        return
    assert len(keys) == 2 and all(model.statistic(k) for k in keys), keys
    if package == "small":  # 7 examples is what --max-batch says, and more may be asked for
        refused(wine.GradcError, "a batch of 8 examples: this instance takes 1 to 7", lambda: model(sample=np.zeros((8, 13))))
        assert len(wine.Model(batch=9)(sample=np.zeros((9, 13)))["scores"]) == 9
        assert not hasattr(wine.Model, "step") and not hasattr(wine.Model, "gradient")
        refused(wine.GradcError, "was compiled without training", lambda: model._step((x[:1], np.zeros(1, np.int32))))
        figures = model.evaluate(sample=x, grower=np.zeros(7, np.int32))
        assert figures["loss"] > 0
        return
    # The statistics are what gradc standardised with: outputs of the rows of the file are those that `gradc eval` wrote.
    deviations, means = (np.array(model.statistic(k).split(), float) for k in keys)
    x = ((table - means) / deviations).astype(np.float32)
    views = wine.Model(seed=5, batch=178, copy=False)
    copied, first = model(sample=x)["scores"], views(sample=x)["scores"]
    assert np.array_equal(copied, first)
    views(sample=x[::-1].copy())
    assert np.array_equal(first, copied[::-1])  # the model's own memory, written over
    test = outputs["scores"]
    assert any(np.abs(copied[i::5] - test).max() < 1e-4 for i in range(5) if copied[i::5].shape == test.shape), test.shape


if len(sys.argv) > 1:
    check(sys.argv[1], sys.argv[2:])
else:
    files()
    with open("wine.safetensors", "rb") as f:
        metadata = json.loads(f.read(int.from_bytes(f.read(8), "little")))["__metadata__"]
    keys = sorted(k for k in metadata if k.startswith("data.sample."))
    for name in ("plain", "weights", "npz", "small", "double", "rounded"):
        subprocess.run([sys.executable, "-W", "error", __file__, name, *keys], check=True)
