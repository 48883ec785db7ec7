"""Trains the digits network through its Python package, as `gradc train --no-shuffle` does, and compares every parameter with
that training's checkpoint. Then: what arrays may be, what is refused and how. Usage: train.py FOLDER DIGITS.csv CHECKPOINT"""

import sys

import numpy as np
from reader import read_safetensors, refused

sys.path.insert(0, sys.argv[1])
import digits  # noqa: E402

table = np.loadtxt(sys.argv[2], delimiter=",", skiprows=1, dtype=np.float32)
pixels, labels = table[:, :64] / 16, table[:, 64].astype(np.int32)
batch, epochs = 32, 2
expected = read_safetensors(sys.argv[3])
with digits.Model(seed=7, batch=batch, threads=1) as model:
    starts = range(0, len(pixels), batch)
    model.progress.steps = epochs * len(starts)
    for epoch in range(epochs):
        model.progress.epoch = epoch
        model.reset_metrics()
        for i in starts:
            figures = model.step(pixels=pixels[i : i + batch], digit=labels[i : i + batch])
    for name in model:
        assert model[name].tobytes() == expected[name].tobytes(), name
    assert set(figures) == {"loss", "accuracy"} and 0 < figures["loss"] < 2, figures
    model.save("python.safetensors", note="from python")
    again = read_safetensors("python.safetensors")
    assert all(again[n].tobytes() == expected[n].tobytes() for n in expected)

    scores = model(pixels=pixels[:5])["scores"]
    assert scores.shape == (5, 10) and scores.dtype == np.float32
    x = pixels[:5].astype(np.float64)  # by hand
    for i in (1, 2, 3):
        x = x @ model[f"dense_{i}.W"].astype(np.float64) + model[f"dense_{i}.b"]
        x = np.maximum(x, 0) if i < 3 else x
    assert np.abs(x - scores).max() < 1e-4 * np.abs(x).max()
    for other in (pixels[:5].astype(np.float64), np.asfortranarray(pixels[:5]), pixels[:5].tolist(), np.repeat(pixels[:5], 2, 0)[::2]):
        assert np.array_equal(model(pixels=other)["scores"], scores)
    assert np.array_equal(model.evaluate(pixels=pixels[:9], digit=labels[:9].astype(np.int64))["loss"],
                          model.evaluate(pixels=pixels[:9], digit=labels[:9])["loss"])

    before = {n: model[n].copy() for n in model}
    slopes = model.gradient(pixels=pixels[:9], digit=labels[:9])
    assert slopes["dense_1.W"].shape == (64, 64) and np.abs(slopes["dense_3.b"]).max() > 0
    assert all(np.array_equal(before[n], model[n]) for n in model) and model.progress.step == epochs * len(starts)
    model["dense_3.b"] = np.arange(10)
    assert model["dense_3.b"][9] == 9
    model.load("python.safetensors")
    assert np.array_equal(model["dense_3.b"], before["dense_3.b"])

    refused(ValueError, "the shape is (5, 63), and must be (batch, 64)", lambda: model(pixels=np.zeros((5, 63), np.float32)))
    refused(ValueError, "3 examples beside 4", lambda: model.step(pixels=pixels[:4], digit=labels[:3]))
    refused(TypeError, "cannot become int32", lambda: model.step(pixels=pixels[:4], digit=np.zeros(4, np.float32)))
    refused(TypeError, "pixel", lambda: model(pixel=pixels[:4]))
    refused(digits.GradcError, "a label of 10 classes", lambda: model.step(pixels=pixels[:1], digit=np.array([10])))
    refused(digits.GradcError, "a batch of 33 examples: this instance takes 1 to 32", lambda: model(pixels=pixels[:33]))
    refused(digits.GradcError, "nothing.safetensors", lambda: model.load("nothing.safetensors"))
    refused(KeyError, "dense_9.W", lambda: model["dense_9.W"])
    refused(ValueError, "the shape is (3,), and must be (10,)", lambda: model.__setitem__("dense_3.b", np.zeros(3)))
refused(digits.GradcError, "", lambda: model(pixels=pixels[:4]))
print(f"{len(expected)} tensors, the same bits")
