// Trains the digits network a few milliseconds a frame, draws its loss, and reads what is drawn at every move of the pen.
import { Model } from "./digits.js";

const EPOCHS = 40, BATCH = 32, FRAME = 12; // milliseconds of training a frame
const $ = (id) => document.getElementById(id);
const seed = new URLSearchParams(location.search).get("seed"); // the same course again, where one is given
let drawn = seed === null ? Math.floor(Math.random() * 2 ** 32) : Number(seed);
const random = () => ((drawn = (Math.imul(drawn, 1664525) + 1013904223) >>> 0), drawn / 2 ** 32);

/* -- The data: every fifth row is held out, as in digits.nn -- */

async function readData() {
  const rows = (await (await fetch("digits.csv")).text()).trim().split("\n").slice(1).map((line) => line.split(",").map(Number));
  const take = (part) => ({
    count: part.length,
    pixels: Float32Array.from(part.flatMap((row) => row.slice(0, 64).map((x) => x / 16))),
    digit: Int32Array.from(part.map((row) => row[64])),
  });
  return [take(rows.filter((_, i) => i % 5)), take(rows.filter((_, i) => i % 5 === 0))];
}

const [training, heldOut] = await readData();
const model = await Model.create({ seed: 1, batch: heldOut.count });
const order = Uint32Array.from({ length: training.count }, (_, i) => i);
let at = 0, epoch = 0, running = true, losses = [], accuracies = [];

function shuffle() {
  for (let i = order.length - 1; i > 0; i--) {
    const k = Math.floor(random() * (i + 1));
    [order[i], order[k]] = [order[k], order[i]];
  }
}

function restart() {
  model.reset(Math.floor(random() * 2 ** 32));
  model.progress.steps = EPOCHS * Math.ceil(training.count / BATCH);
  (at = 0), (epoch = 0), (losses = []), (accuracies = []);
  shuffle();
}

/* -- Training -- */

function step() {
  const rows = order.subarray(at, at + BATCH), pixels = new Float32Array(rows.length * 64), digit = new Int32Array(rows.length);
  rows.forEach((row, i) => {
    pixels.set(training.pixels.subarray(row * 64, row * 64 + 64), i * 64);
    digit[i] = training.digit[row];
  });
  losses.push(model.step({ pixels, digit }).loss);
  at += BATCH;
  if (at < order.length) return rows.length;
  (at = 0), (epoch += 1), (model.progress.epoch = epoch);
  shuffle();
  model.resetMetrics();
  accuracies.push(model.evaluate({ pixels: heldOut.pixels, digit: heldOut.digit }).accuracy);
  return rows.length;
}

function frame() {
  if (running && epoch < EPOCHS) {
    const start = performance.now();
    let examples = 0;
    do examples += step();
    while (performance.now() - start < FRAME && epoch < EPOCHS);
    $("speed").value = Math.round((examples / (performance.now() - start)) * 1000).toLocaleString("en");
    $("epoch").value = epoch;
    $("loss").value = losses.at(-1).toFixed(3);
    if (accuracies.length) $("accuracy").value = `${(100 * accuracies.at(-1)).toFixed(1)} %`;
    drawCurve();
    read();
  }
  if (epoch >= EPOCHS) $("train").textContent = "Trained";
  requestAnimationFrame(frame);
}

/* The loss of each step on a scale of logarithms, pale, and its mean over 20 steps; the held-out accuracy in green. */
function drawCurve() {
  const { width, height } = $("curve"), c = $("curve").getContext("2d");
  const all = EPOCHS * Math.ceil(training.count / BATCH), x = (i) => (i / all) * width;
  const y = (loss) => height * (0.04 + 0.92 * Math.min(1, Math.max(0, (Math.log10(4) - Math.log10(loss)) / (Math.log10(4) + 3))));
  const line = (values, place, colour, thick) => {
    c.beginPath();
    values.forEach((v, i) => c.lineTo(...place(v, i)));
    (c.strokeStyle = colour), (c.lineWidth = thick), c.stroke();
  };
  c.clearRect(0, 0, width, height);
  c.font = "22px system-ui", (c.fillStyle = "#888");
  for (const tick of [1, 0.1, 0.01]) {
    c.fillText(tick, 6, y(tick) - 6);
    line([tick, tick], (v, i) => [i * width, y(v)], "#eee", 2);
  }
  const means = losses.map((_, i) => losses.slice(Math.max(0, i - 19), i + 1).reduce((a, b) => a + b) / Math.min(20, i + 1));
  line(losses, (v, i) => [x(i), y(v)], "#c9d8ee", 2);
  line(means, (v, i) => [x(i), y(v)], "#3d6fb6", 4);
  line(accuracies, (v, i) => [x(((i + 1) * all) / EPOCHS), height * (0.04 + 0.92 * (1 - v))], "#4c9a52", 4);
}

/* -- Drawing and reading -- */

const paper = $("paper"), pen = paper.getContext("2d", { willReadFrequently: true }), small = document.createElement("canvas");
small.width = small.height = 32;
pen.lineWidth = 26, (pen.lineCap = pen.lineJoin = "round");
let last = null;

/* The ink's own box at 32 dots' height and 14 to 26 dots' width, made as thick as a felt pen's; a pixel of the network is how many
 * of 4 by 4 dots have ink. So the digits of the data were made: they fill their height, and the narrow ones are wide strokes. */
function pixelsOf() {
  const { data, width, height } = pen.getImageData(0, 0, paper.width, paper.height);
  let left = width, right = -1, top = height, bottom = -1, ink = 0, sum = 0;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      if (data[4 * (y * width + x) + 3] > 100) {
        (left = Math.min(left, x)), (right = Math.max(right, x)), (top = Math.min(top, y)), (bottom = Math.max(bottom, y));
        (ink += 1), (sum += x);
      }
  if (right < 0) return null;
  const w = right - left + 1, h = bottom - top + 1, wide = Math.min(26, Math.max(14, (32 * w) / h));
  const at = Math.min(32 - wide, Math.max(0, 16 - ((sum / ink - left) / w) * wide)); // the ink's middle in the middle
  const c = small.getContext("2d", { willReadFrequently: true });
  c.clearRect(0, 0, 32, 32);
  for (const [x, y] of [[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]]) c.drawImage(paper, left, top, w, h, at + x, y, wide, 32);
  const dots = c.getImageData(0, 0, 32, 32).data, pixels = new Float32Array(64);
  for (let i = 0; i < 1024; i++) if (dots[4 * i + 3] > 100) pixels[(i >> 7) * 8 + ((i & 31) >> 2)] += 1 / 16;
  return pixels;
}

function read() {
  const pixels = pixelsOf();
  if (!pixels) return;
  const scores = model.forward({ pixels }).scores, most = Math.max(...scores), e = scores.map((s) => Math.exp(s - most));
  const sum = e.reduce((a, b) => a + b), bars = $("bars").querySelectorAll("div");
  $("guess").value = scores.indexOf(most);
  bars.forEach((bar, i) => (bar.style.height = `${(60 * e[i]) / sum}px`));
}

function place(event) {
  const box = paper.getBoundingClientRect();
  return [((event.clientX - box.left) * paper.width) / box.width, ((event.clientY - box.top) * paper.height) / box.height];
}

function clear() {
  pen.clearRect(0, 0, paper.width, paper.height);
  $("guess").value = "?";
  $("bars").querySelectorAll("div").forEach((bar) => (bar.style.height = "1px"));
}

paper.addEventListener("pointerdown", (event) => (last = place(event)));
addEventListener("pointerup", () => (last = null));
paper.addEventListener("pointermove", (event) => {
  if (!last) return;
  const next = place(event);
  pen.beginPath(), pen.moveTo(...last), pen.lineTo(...next), pen.stroke();
  last = next;
  read();
});
$("bars").innerHTML = Array.from({ length: 10 }, () => "<div></div>").join("") + Array.from({ length: 10 }, (_, i) => `<span>${i}</span>`).join("");
$("clear").onclick = clear;
$("train").onclick = () => ((running = !running), ($("train").textContent = running ? "Pause" : "Go on"));
$("again").onclick = () => (restart(), ($("train").textContent = "Pause"), (running = true));
$("save").onclick = () => {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(new Blob([model.save()])), download: "digits.safetensors" });
  link.click(), URL.revokeObjectURL(link.href);
};
restart();
requestAnimationFrame(frame);
