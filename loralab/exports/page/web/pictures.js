// A model that sees: ONNX Runtime in the browser, and its answers read as the programs beside the model read them.
const runtime = globalThis.onnxruntime;
const { card } = page;
const STRIDE = 4, SAME = 0.6, MOST = 300; // of the grid of what is found; see detect.py
let session = null;

/** A picture that is known: numbers by a formula, so that nobody's picture lies in this page. */
function drawn({ width, height, kind }) {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++) data[i++] = (x * (3 + kind) + y * (5 + 2 * c) + ((x * y) >> 4)) & 255;
  return { data, width, height, depth: 3 };
}

/** What the model says of pixels [height, width, 3] in 0..255: its outputs in their order. */
async function outputs(pixels) {
  const area = card.width * card.height;
  const planes = new Float32Array(3 * area);
  for (let i = 0; i < area; i++) for (let c = 0; c < 3; c++) planes[c * area + i] = pixels[i * 3 + c];
  const given = new runtime.Tensor("float32", planes, [1, 3, card.height, card.width]);
  const found = await session.run({ pixels: given });
  return page.outputs.map((name) => found[name]);
}

/** Whether the browser makes a known picture ready bit for bit, and says of it what was written down. */
async function same(one) {
  const { data } = seen(drawn(one), card);
  if (crcOf(0, data) !== one.pixels) return false;
  const said = await outputs(data);
  return said.every((tensor, i) => {
    const wanted = one.said[i], step = Math.max(1, Math.floor(tensor.data.length / wanted.length));
    const range = Math.max(...wanted.map(Math.abs), 1e-6);
    return wanted.every((value, k) => Math.abs(tensor.data[k * step] - value) <= page.near * range);
  });
}

async function open() {
  runtime.env.wasm.numThreads = 1;
  runtime.env.wasm.wasmBinary = (await unpacked("onnx.wasm.gz")).buffer;
  const model = new Uint8Array(await (await part("model.onnx")).arrayBuffer());
  say("Starting the model");
  session = await runtime.InferenceSession.create(model, { executionProviders: ["wasm"] });
  return show(await proved(page.known, same), page.known.length, "The processor computes, on 1 core.");
}

// ---- answers ----

const ways = {
  classify([chances]) {
    const best = chances.data.reduce((top, one, i) => (one > chances.data[top] ? i : top), 0);
    return { label: card.labels[best], unsure: chances.data[best] < card.unsure_below, chances: Array.from(chances.data) };
  },
  detect([peaks, sides], picture, [left, top, across, down]) {
    const [, , height, width] = peaks.dims;
    const area = height * width;
    const order = Array.from(peaks.data.keys()).sort((a, b) => peaks.data[b] - peaks.data[a] || a - b).slice(0, MOST);
    const things = [];
    for (const at of order) {
      const score = peaks.data[at];
      if (score < card.threshold) break;
      const kind = Math.floor(at / area), place = at % area, row = Math.floor(place / width), column = place % width;
      const reach = [0, 1, 2, 3].map((k) => sides.data[k * area + place]);
      const x = (column + 0.5) * STRIDE, y = (row + 0.5) * STRIDE;
      const cut = (value, most) => Math.min(Math.max(value, 0), most);
      const box = [
        cut(x - reach[0], width * STRIDE), cut(y - reach[1], height * STRIDE), cut(x + reach[2], width * STRIDE), cut(y + reach[3], height * STRIDE),
      ];
      const size = (one) => (one[2] - one[0]) * (one[3] - one[1]);
      const common = (one) =>
        Math.max(0, Math.min(one[2], box[2]) - Math.max(one[0], box[0])) * Math.max(0, Math.min(one[3], box[3]) - Math.max(one[1], box[1]));
      if (things.some((one) => one.kind === kind && common(one.box) > SAME * Math.max(size(one.box) + size(box) - common(one.box), 1e-6))) continue;
      things.push({ kind, label: card.labels[kind], score, box });
    }
    for (const one of things)
      one.own = one.box.map((value, k) =>
        k % 2 ? Math.min(Math.max(((value - top) * picture.height) / down, 0), picture.height)
          : Math.min(Math.max(((value - left) * picture.width) / across, 0), picture.width));
    return { things };
  },
  segment([maps], picture, [left, top, across, down]) {
    const [, count, height, width] = maps.dims;
    const own = Array.from({ length: count }, (_, k) => {
      const data = maps.data.subarray(k * width * height, (k + 1) * width * height);
      return resized({ data, width, height, depth: 1 }, picture.width, picture.height, triangle, 1, [left, top, left + across, top + down], false).data;
    });
    const mask = new Uint8Array(picture.width * picture.height);
    for (let i = 0; i < mask.length; i++) {
      if (count === 1) mask[i] = own[0][i] >= card.threshold ? 1 : 0;
      else for (let k = 1; k < count; k++) if (own[k][i] > own[mask[i]][i]) mask[i] = k;
    }
    const shares = card.labels.map((_, k) => mask.reduce((sum, one) => sum + (one === k + 1 ? 1 : 0), 0) / mask.length);
    return { mask, shares };
  },
};

/** The picture in colour, upright as its camera says; what is see-through is white. */
async function opened(blob) {
  const bitmap = await createImageBitmap(blob, { imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(bitmap, 0, 0);
  const raw = pen.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(width * height * 3);
  for (let i = 0, j = 0; i < raw.length; i += 4) for (let c = 0; c < 3; c++) data[j++] = Math.round((raw[i + c] * raw[i + 3] + 255 * (255 - raw[i + 3])) / 255);
  return { picture: { data, width, height, depth: 3 }, bitmap };
}

const COLOURS = ["#0f766e", "#b45309", "#6d28d9", "#be123c", "#1d4ed8", "#4d7c0f", "#a21caf", "#0e7490"];
const percent = (share) => `${(100 * share).toFixed(share > 0.0995 || share === 0 ? 0 : 1)} %`;

function rows(entries) {
  at("classes").replaceChildren(
    ...entries.map(([label, share, exact]) => {
      const item = document.createElement("li"), name = document.createElement("span"), bar = document.createElement("progress"), told = document.createElement("output");
      name.textContent = label;
      bar.max = 1;
      bar.value = share;
      bar.setAttribute("aria-label", label);
      told.textContent = percent(share);
      item.dataset.value = exact ?? share;
      item.dataset.label = label;
      item.append(name, bar, told);
      return item;
    }),
  );
}

const drawnOver = {
  classify(answer) {
    const order = answer.chances.map((share, i) => [card.labels[i], share]).sort((a, b) => b[1] - a[1]);
    rows(order);
    const sure = percent(Math.max(...answer.chances));
    return answer.unsure ? `It is unsure. Most likely, at ${sure}: ${answer.label}.` : `${answer.label}, at ${sure}.`;
  },
  detect(answer, pen) {
    const thick = Math.max(2, pen.canvas.width / 250);
    pen.lineWidth = thick;
    pen.font = `600 ${Math.max(13, pen.canvas.width / 40)}px system-ui, sans-serif`;
    const high = Math.max(15, pen.canvas.width / 34);
    answer.things.forEach(({ kind, own, label }, i) => {
      pen.strokeStyle = pen.fillStyle = COLOURS[kind % COLOURS.length];
      pen.strokeRect(own[0], own[1], own[2] - own[0], own[3] - own[1]);
      const words = `${i + 1} ${label}`, top = Math.max(0, own[1] - high);
      pen.fillRect(own[0], top, pen.measureText(words).width + 8, high);
      pen.fillStyle = "#fff";
      pen.fillText(words, own[0] + 4, top + high * 0.78);
    });
    rows(answer.things.map((one, i) => [`${i + 1}. ${one.label}`, one.score, one.own.map((v) => v.toFixed(2)).join(" ")]));
    return answer.things.length ? `${answer.things.length} found: ${answer.things.map((one) => one.label).join(", ")}.` : "Nothing was found.";
  },
  segment(answer, pen, picture) {
    const over = pen.getImageData(0, 0, picture.width, picture.height);
    answer.mask.forEach((kind, i) => {
      if (!kind) return;
      const colour = parseInt(COLOURS[(kind - 1) % COLOURS.length].slice(1), 16);
      [colour >> 16, (colour >> 8) & 255, colour & 255].forEach((value, c) => {
        over.data[i * 4 + c] = (over.data[i * 4 + c] + 2 * value) / 3;
      });
    });
    pen.putImageData(over, 0, 0);
    rows(card.labels.map((label, k) => [label, answer.shares[k]]));
    return answer.shares.some(Boolean) ? `Marked: ${card.labels.map((label, k) => `${label} ${percent(answer.shares[k])}`).join(", ")} of the picture.` : "Nothing was marked.";
  },
};

async function look(blob) {
  at("answer").textContent = "Looking…";
  let opening;
  try {
    opening = await opened(blob);
  } catch {
    at("answer").textContent = "This file is no picture that this browser can open. Try a JPEG or PNG.";
    return;
  }
  const { picture, bitmap } = opening;
  const { data, place } = seen(picture, card);
  const begun = performance.now();
  const said = await outputs(data);
  at("pace").textContent = `Looked at in ${((performance.now() - begun) / 1000).toFixed(2)} s, on this device.`;
  const answer = ways[card.task](said, picture, place);
  const canvas = at("seen");
  canvas.width = picture.width;
  canvas.height = picture.height;
  canvas.hidden = false;
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(bitmap, 0, 0);
  at("answer").textContent = drawnOver[card.task](answer, pen, picture);
  at("answer").dataset.done = String(Number(at("answer").dataset.done ?? 0) + 1);
}

// ---- giving it pictures ----

at("file").addEventListener("change", () => at("file").files[0] && look(at("file").files[0]));
for (const [name, over] of [["dragover", true], ["dragleave", false], ["drop", false]])
  at("drop").addEventListener(name, (event) => {
    event.preventDefault();
    at("drop").classList.toggle("over", over);
    if (name === "drop" && event.dataTransfer.files[0] && !at("use").disabled) look(event.dataTransfer.files[0]);
  });
document.addEventListener("paste", (event) => {
  const file = event.clipboardData?.files?.[0];
  if (file && !at("use").disabled) look(file);
});

let stream = null;
function closeCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  at("camera-view").hidden = true;
  at("shoot").hidden = true;
  at("camera").textContent = "Use the camera";
}
if (navigator.mediaDevices?.getUserMedia) at("camera").hidden = false;
at("camera").addEventListener("click", async () => {
  if (stream) return closeCamera();
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    at("video").srcObject = stream;
    await at("video").play();
    at("camera-view").hidden = false;
    at("shoot").hidden = false;
    at("camera").textContent = "Switch the camera off";
    at("shoot").focus();
  } catch {
    at("answer").textContent = "The camera cannot be used here. Choose a picture instead.";
  }
});
at("shoot").addEventListener("click", async () => {
  const canvas = new OffscreenCanvas(at("video").videoWidth, at("video").videoHeight);
  canvas.getContext("2d").drawImage(at("video"), 0, 0);
  await look(await canvas.convertToBlob());
});
begin(open);
