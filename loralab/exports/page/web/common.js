// What every page does: read its parts, compare them with their checksums, say how far it is, and prove itself.
const page = JSON.parse(document.getElementById("settings").textContent);
const at = (id) => document.getElementById(id);
const MB = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

class Damaged extends Error {}

/** What is being done, which is read out: only when it changes. */
function say(words, kind = "") {
  if (at("state").textContent !== words) at("state").textContent = words;
  at("state").className = `state ${kind}`.trim();
  if (kind) far("");
}

/** How far it is, which is only shown. */
function far(words) {
  at("far").textContent = words;
}

const table = new Uint32Array(256).map((_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function crcOf(crc, bytes) {
  crc = ~crc;
  for (let i = 0; i < bytes.length; i++) crc = table[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

function decoded(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

async function* inThePage(name) {
  for (const place of document.querySelectorAll(`script[data-part="${name}"]`)) {
    let piece;
    try {
      piece = decoded(place.textContent);
    } catch {
      throw new Damaged();
    }
    place.remove(); // its letters are not needed any more
    yield piece;
    await new Promise((go) => setTimeout(go)); // lets the browser draw
  }
}

async function* besideThePage(name) {
  const answer = await fetch(name);
  if (!answer.ok) throw new Damaged();
  const reader = answer.body.getReader();
  for (let got = await reader.read(); !got.done; got = await reader.read()) yield got.value;
}

const total = Object.values(page.parts).reduce((sum, part) => sum + part.bytes, 0);
let read = 0;

/** A part as a Blob; throws Damaged where it is not the one that was put here. */
async function part(name) {
  const { bytes, crc } = page.parts[name];
  const pieces = [];
  let size = 0, sum = 0;
  for await (const piece of page.single ? inThePage(name) : besideThePage(name)) {
    pieces.push(piece);
    size += piece.length;
    read += piece.length;
    sum = crcOf(sum, piece);
    say("Getting ready");
    far(`${MB(read)} of ${MB(total)}`);
    at("bar").max = total;
    at("bar").value = read;
  }
  if (size !== bytes || sum !== crc) throw new Damaged();
  return new Blob(pieces);
}

/** The bytes of a part that was packed. */
async function unpacked(name) {
  const stream = (await part(name)).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Ask what is known and compare: `ask(one)` tells whether the browser's answer is the known one. Returns how many were right. */
async function proved(known, ask) {
  let right = 0;
  for (const [i, one] of known.entries()) {
    say("Checking that this browser computes it right");
    far(`${i + 1} of ${known.length}`);
    if (await ask(one)) right++;
  }
  return right;
}

function show(right, known, how) {
  const whole = right === known;
  at("bar").hidden = true;
  at("proof").hidden = false;
  at("proof").className = whole ? "proof good" : "proof bad";
  at("proof").dataset.outcome = whole ? "right" : "wrong";
  at("proof-words").textContent = whole
    ? `Checked here: this browser gives the ${known} known answers that were written down when this page was made. ${how}`
    : `This browser gets it wrong: ${right} of ${known} known answers came out as they should. Do not rely on it here; open the page in another browser.`;
  say(whole ? "Ready." : "This browser gets it wrong.", whole ? "good" : "bad");
  return whole;
}

async function keptHere() {
  if (page.single || !("serviceWorker" in navigator)) return;
  const kept = `page-${page.id}`;
  const shown = async () => {
    at("cache").hidden = !(await caches.has(kept));
  };
  at("forget").addEventListener("click", async () => {
    for (const worker of await navigator.serviceWorker.getRegistrations()) await worker.unregister();
    await caches.delete(kept);
    at("cache").hidden = true;
    at("cache-said").textContent = "Deleted. Nothing of this page is kept on this device any more.";
  });
  try {
    await navigator.serviceWorker.register(`offline.js?kept=${kept}`);
    const cache = await caches.open(kept);
    for (const name of ["./", ...Object.keys(page.parts)]) if (!(await cache.match(name))) await cache.add(name);
  } catch (error) {
    console.warn("This page is not kept for when there is no network.", error);
  }
  await shown();
}

/** Run the page: `open()` makes it ready and returns whether it proved itself. */
async function begin(open) {
  try {
    if (await open()) at("use").disabled = false;
    await keptHere();
  } catch (error) {
    console.error(error);
    at("bar").hidden = true;
    const damaged = error instanceof Damaged;
    say(
      damaged
        ? "This file is damaged: it was changed or cut short on its way. Copy it again from where it came."
        : "This browser cannot run it. Try a newer Chrome, Edge or Firefox, or a device with more memory.",
      "bad",
    );
    at("state").dataset.why = damaged ? "damaged" : String(error && error.message ? error.message : error);
  }
}
