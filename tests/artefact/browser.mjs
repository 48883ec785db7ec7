// What browser.sh puts into the page: waits until it has learnt, then draws three digits with a pen, and leaves what was read.
const $ = (id) => document.getElementById(id), frame = () => new Promise(requestAnimationFrame);
const stroke = async (points) => {
  const box = $("paper").getBoundingClientRect();
  const say = (type, [x, y]) => $("paper").dispatchEvent(new PointerEvent(type, { clientX: box.left + x, clientY: box.top + y, bubbles: true }));
  say("pointerdown", points[0]);
  for (let i = 1; i < points.length; i++)
    for (let k = 1; k <= 4; k++) say("pointermove", points[0].map((_, a) => points[i - 1][a] + ((points[i][a] - points[i - 1][a]) * k) / 4));
  say("pointerup", points.at(-1));
  await frame();
};
const arc = (x, y, rx, ry, from, to) => Array.from({ length: 25 }, (_, i) => [x + rx * Math.sin(from + ((to - from) * i) / 24), y - ry * Math.cos(from + ((to - from) * i) / 24)]);
const drawings = {
  0: [arc(140, 140, 60, 100, 0, 2 * Math.PI)],
  1: [[[120, 70], [145, 40], [145, 240]]],
  3: [[...arc(125, 95, 60, 50, -0.9, Math.PI), ...arc(125, 190, 65, 50, 0, Math.PI + 1.0)]],
  7: [[[75, 50], [205, 50], [125, 240]]],
  4: [[[150, 40], [75, 160], [215, 160]], [[165, 110], [165, 245]]],
};
const leave = (text) => fetch("result", { method: "POST", body: text });
try {
  while (!(parseInt($("epoch").value) >= 20)) await frame();
  const read = {};
  const states = [$("guess").value];
  for (const [digit, strokes] of Object.entries(drawings)) {
    $("clear").click();
    for (const points of strokes) await stroke(points);
    read[digit] = $("guess").value;
  }
  const curve = $("curve"), dots = curve.getContext("2d").getImageData(0, 0, curve.width, curve.height).data;
  let blue = 0;
  for (let i = 0; i < dots.length; i += 4) blue += dots[i] === 0x3d && dots[i + 1] === 0x6f;
  await leave(JSON.stringify({ states, read, blue, accuracy: parseFloat($("accuracy").value), loss: parseFloat($("loss").value) }));
} catch (error) {
  await leave(`failed: ${error.stack}`);
}
