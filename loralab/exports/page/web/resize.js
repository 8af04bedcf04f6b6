// Pictures made smaller or larger exactly as Pillow does it (Resample.c, Reduce.c), on which the model learned: to the last bit.
const bicubic = (x) => {
  x = Math.abs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
};
const triangle = (x) => Math.max(0, 1 - Math.abs(x));

/** For each of `out` places: where its neighbours begin in `size`, and their weights. */
function weights(size, from, to, out, filter, reach) {
  const scale = (to - from) / out;
  const wide = Math.max(scale, 1);
  const support = reach * wide;
  return Array.from({ length: out }, (_, place) => {
    const middle = from + (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(middle - support + 0.5));
    const last = Math.min(size, Math.trunc(middle + support + 0.5));
    const found = Float64Array.from({ length: Math.max(0, last - first) }, (_, i) => filter((i + first - middle + 0.5) * (1 / wide)));
    const sum = found.reduce((a, b) => a + b, 0);
    if (sum) for (let i = 0; i < found.length; i++) found[i] *= 1 / sum;
    return { first, found };
  });
}

const BITS = 2 ** 22;
const whole = (found) => found.map((one) => Math.trunc(one * BITS + (one < 0 ? -0.5 : 0.5)));
const eight = (sum) => Math.min(255, Math.max(0, Math.floor((sum + BITS / 2) / BITS)));

/** One direction. `data` holds `lines` lines of `size` places; `step` and `jump` say how far places and lines lie apart. */
function along(data, places, lines, layout, rounded) {
  const out = rounded ? new Uint8Array(places.length * lines * layout.depth) : new Float32Array(places.length * lines * layout.depth);
  const ready = places.map(({ first, found }) => ({ first, found: rounded ? whole(found) : found }));
  for (let line = 0; line < lines; line++)
    for (let place = 0; place < ready.length; place++) {
      const { first, found } = ready[place];
      for (let deep = 0; deep < layout.depth; deep++) {
        let sum = 0;
        for (let i = 0; i < found.length; i++) sum += data[line * layout.jump + (first + i) * layout.step + deep] * found[i];
        out[line * layout.outJump(places.length) + place * layout.outStep(lines) + deep] = rounded ? eight(sum) : sum;
      }
    }
  return out;
}

/** `picture` {data, width, height, depth} -> the same of `width` x `height`; `box` is what part of it is taken: left, top, right, bottom. */
function resized(picture, width, height, filter, reach, box, rounded) {
  const { depth } = picture;
  let { data } = picture;
  if (width !== picture.width || box[0] || box[2] !== width) {
    const places = weights(picture.width, box[0], box[2], width, filter, reach);
    data = along(data, places, picture.height, {
      depth, step: depth, jump: picture.width * depth, outJump: (n) => n * depth, outStep: () => depth,
    }, rounded);
  }
  if (height !== picture.height || box[1] || box[3] !== height) {
    const places = weights(picture.height, box[1], box[3], height, filter, reach);
    data = along(data, places, width, {
      depth, step: width * depth, jump: depth, outJump: () => depth, outStep: (lines) => lines * depth,
    }, rounded);
  }
  return { data, width, height, depth };
}

/** The mean of blocks of `across` x `down` pixels. */
function reduced(picture, across, down) {
  const width = Math.ceil(picture.width / across), height = Math.ceil(picture.height / down);
  const { depth } = picture;
  const data = new Uint8Array(width * height * depth);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const right = Math.min(picture.width, (x + 1) * across), bottom = Math.min(picture.height, (y + 1) * down);
      const count = (right - x * across) * (bottom - y * down);
      const factor = Math.trunc(Math.fround(2 ** 32 / (256 * count)));
      for (let deep = 0; deep < depth; deep++) {
        let sum = Math.trunc(count / 2);
        for (let j = y * down; j < bottom; j++)
          for (let i = x * across; i < right; i++) sum += picture.data[(j * picture.width + i) * depth + deep];
        data[(y * width + x) * depth + deep] = Math.floor((sum * factor) / 2 ** 24);
      }
    }
  return { data, width, height, depth };
}

/** As Pillow's `resize(..., BICUBIC, reducing_gap=3.0)`. */
function smaller(picture, width, height) {
  if (picture.width === width && picture.height === height) return picture;
  const across = Math.trunc(picture.width / width / 3) || 1, down = Math.trunc(picture.height / height / 3) || 1;
  const found = across > 1 || down > 1 ? reduced(picture, across, down) : picture;
  return resized(found, width, height, bicubic, 2, [0, 0, picture.width / across, picture.height / down], true);
}

const even = (x) => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x)); // as Python rounds

/** The picture as the model reads it, and where it lies in that: left, top, width, height. */
function seen(picture, card) {
  const scale = Math.min(card.width / picture.width, card.height / picture.height);
  const across = Math.max(1, even(picture.width * scale)), down = Math.max(1, even(picture.height * scale));
  const left = Math.floor((card.width - across) / 2 + 0.5), top = Math.floor((card.height - down) / 2 + 0.5);
  const inner = smaller(picture, across, down);
  const data = new Uint8Array(card.width * card.height * 3).fill(card.fill);
  for (let y = 0; y < down; y++) data.set(inner.data.subarray(y * across * 3, (y + 1) * across * 3), ((top + y) * card.width + left) * 3);
  return { data, place: [left, top, across, down] };
}
