# A contrastive model, whose values for pairs of examples grow with the square of the batch: its Python package trains to the
# bits of `gradc train`, the last batch shorter, and its memory is that of `summary`.
. "$2/start.sh"
find_python
cat > views.nn <<'E2'
fn find(a, b, heat) = cross_entropy(across(b) @ a / heat, batch_index)
model views(width = 5, heat = 0.5) {
  input one: [4]
  input two: [4]
  let encode = x -> x |> dense(7) |> tanh |> dense(width) |> (h -> h / norm(h))
  output code = encode(one)
  let other   = encode(two)
  loss   (find(code, other, heat) + find(other, code, heat)) / 2
  metric found = accuracy(across(other) @ code, batch_index)
}
data { file = "views.npz"; one = array(a); two = array(b) }
train { optimizer = adam(0.01); batch = 24; epochs = 3; seed = 5 }
E2
"$python" -c 'import numpy as np; r = np.random.default_rng(1); a = r.normal(size=(55, 4)).astype("f4")
np.savez("views.npz", a=a, b=a + 0.1 * r.normal(size=a.shape).astype("f4"))'
"$gradc" train views.nn --no-shuffle --quiet
"$gradc" summary views.nn | grep -q ' \* batch^2 bytes' || fail "summary names no memory for pairs"
"$gradc" build views.nn --quiet --emit python -o package
cat > train.py <<'E2'
import sys
import numpy as np
sys.path.insert(0, "package")
import views
data = np.load("views.npz")
a, b = data["a"], data["b"]
with views.Model(seed=5, batch=24, threads=2) as model:
    model.progress.steps = 9
    for epoch in range(3):
        model.progress.epoch = epoch
        for i in range(0, 55, 24):
            model.step(one=a[i : i + 24], two=b[i : i + 24])
    model.save("package.safetensors")
    for n in (1, 2, 7, 16, 17, 24):  # by hand
        p, q = model(one=a[:n], two=b[:n])["code"].astype(float), model(one=b[:n], two=a[:n])["code"].astype(float)
        def find(x, y):
            z = x @ y.T / 0.5
            return np.mean(np.log(np.exp(z).sum(1)) - np.diag(z))
        figures = model.evaluate(one=a[:n], two=b[:n])
        assert abs(figures["loss"] - (find(p, q) + find(q, p)) / 2) < 1e-5, (n, figures)
        assert abs(figures["found"] - np.mean((p @ q.T).argmax(1) == np.arange(n))) < 1e-6, (n, figures)
try:
    views.Model(seed=5, batch=1 << 40)
    raise AssertionError("not refused")
except views.GradcError as e:
    assert "more memory than can be addressed" in str(e), e
E2
"$python" -W error train.py
"$python" - <<'E2'
import json, struct
def tensors(path):
    data = open(path, "rb").read()
    (n,) = struct.unpack("<Q", data[:8])
    head = json.loads(data[8 : 8 + n])
    return {k: data[8 + n + v["data_offsets"][0] : 8 + n + v["data_offsets"][1]] for k, v in head.items() if k != "__metadata__"}
one, other = tensors("views.safetensors"), tensors("package.safetensors")
assert one == other and len(one) > 8, "other bits"
E2
echo "the same bits"
