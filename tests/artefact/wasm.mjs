// Trains the digits network through its WebAssembly module, as `gradc train --no-shuffle` does, and saves a checkpoint for
// train.c to compare with x86-64-v2's, bit for bit. Then: what is refused. Usage: node wasm.mjs MODULE.js DIGITS.csv CHECKPOINT
import assert from "node:assert";
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [script, data, checkpoint] = process.argv.slice(2);
const { Model, GradcError } = await import(pathToFileURL(script));
const rows = readFileSync(data, "utf8").trim().split("\n").slice(1).map((line) => line.split(",").map(Number));
const pixels = Float32Array.from(rows.flatMap((row) => row.slice(0, 64).map((x) => x / 16)));
const digits = Int32Array.from(rows.map((row) => row[64]));
const batch = 32, epochs = 2, part = (i) => ({ pixels: pixels.subarray(64 * i, 64 * (i + batch)), digit: digits.subarray(i, i + batch) });

const module = await WebAssembly.compile(readFileSync(script.replace(/js$/, "wasm")));
assert.deepEqual(WebAssembly.Module.imports(module), []);

async function train() {
  const model = await Model.create({ seed: 7, batch });
  model.progress.steps = epochs * Math.ceil(rows.length / batch);
  let figures;
  for (let epoch = 0; epoch < epochs; epoch++) {
    model.progress.epoch = epoch;
    model.resetMetrics();
    for (let i = 0; i < rows.length; i += batch) figures = model.step(part(i));
  }
  return [model, figures];
}

const start = performance.now();
const [model, figures] = await train();
console.log(`${model.progress.step} steps in ${(performance.now() - start).toFixed(0)} ms`, figures);
assert(figures.loss > 0 && figures.loss < 2 && model.progress.step === 114 && model.progress.seed === 7n);
const file = model.save({ note: "from a page" });
const [again] = await train();
assert.deepEqual(again.save({ note: "from a page" }), file); // the same bits
writeFileSync(checkpoint, file);

const { scores } = model.forward({ pixels: pixels.subarray(0, 5 * 64) });
assert(scores instanceof Float32Array && scores.length === 50);
let x = Array.from(pixels.subarray(0, 5 * 64)), wide = 64; // by hand
for (const i of [1, 2, 3]) {
  const w = model.get(`dense_${i}.W`), b = model.get(`dense_${i}.b`), [inner, outer] = model.shape(`dense_${i}.W`), next = [];
  for (let n = 0; n < 5; n++)
    for (let k = 0; k < outer; k++) {
      let sum = b[k];
      for (let j = 0; j < inner; j++) sum += x[n * wide + j] * w[j * outer + k];
      next.push(i < 3 ? Math.max(0, sum) : sum);
    }
  x = next, wide = outer;
}
scores.forEach((s, i) => assert(Math.abs(s - x[i]) < 1e-4, `${s} ${x[i]}`));

const few = { pixels: pixels.subarray(0, 9 * 64), digit: digits.subarray(0, 9) }, before = model.get("dense_1.W");
const slopes = model.gradient(few), loss = model.evaluate(few).loss;
assert(slopes["dense_1.W"].length === 4096 && slopes.pixels.length === 9 * 64 && slopes["dense_3.b"].some((v) => v !== 0));
assert.deepEqual(model.get("dense_1.W"), before);
model.set("dense_3.b", Array(10).fill(9));
assert.equal(model.get("dense_3.b")[4], 9);
const other = await Model.create({ seed: 3, wasm: module });
other.load(file);
model.load(file);
assert.equal(model.evaluate(few).loss, loss);
assert.deepEqual(other.evaluate(few), model.evaluate(few));
assert.deepEqual(other.save({ note: "from a page" }), file);

const refused = (call, kind, words) => assert.throws(call, (e) => e instanceof kind && e.message.includes(words));
refused(() => model.step({ pixels: pixels.subarray(0, 64), digit: [10] }), GradcError, "a label of 10 classes");
refused(() => model.forward({ pixels: pixels.subarray(0, 33 * 64) }), GradcError, "a batch of 33 examples: this instance takes 1 to 32");
refused(() => model.forward({ pixels: pixels.subarray(0, 63) }), TypeError, "no whole examples of 64");
refused(() => model.forward({ pixel: [1] }), TypeError, "no input \"pixel\"");
refused(() => model.step({ pixels: pixels.subarray(0, 64) }), TypeError, "target \"digit\" was not given");
refused(() => model.step({ pixels: pixels.subarray(0, 64), digit: [1.5] }), TypeError, "whole numbers");
refused(() => model.step({ pixels: pixels.subarray(0, 128), digit: [1] }), TypeError, "1 examples beside 2");
refused(() => model.get("dense_9.W"), GradcError, "no parameter or state \"dense_9.W\"");
refused(() => model.set("dense_3.b", [1]), TypeError, "and must be 10");
refused(() => model.load(file.slice(0, 100)), GradcError, "not a valid safetensors file");
refused(() => model.load(file.slice(0, file.length - 1)), GradcError, "is missing, or is not");
await assert.rejects(Model.create({ batch: 0 }), GradcError);
await assert.rejects(Model.create({ batch: 1e9 }), GradcError);
console.log("refused what is wrong");
