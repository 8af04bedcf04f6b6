// A language model: llama.cpp in the browser, the base once and what was learned laid over it.
const { Wllama } = globalThis.wllama;
const PLACE = "models/model-00002-of-00002.gguf"; // where the second file lies for llama.cpp: it is no part of the first, but the adapter
let engine = null;
let device = "";
let stopping = null;
let talk = [];

let offloaded = false; // what llama.cpp itself says of where it computes
function heard(...words) {
  if (/offloaded [1-9]\d*\/\d+ layers to GPU/.test(words.join(" "))) offloaded = true;
}
const quiet = { debug: heard, log: heard, warn: heard, error: (...words) => console.warn(...words) };
const nowhere = Object.fromEntries(
  ["list", "open", "getSize", "getMetadata", "delete", "clear", "write", "download", "getNameFromURL"].map((name) => [name, async () => null]),
);

async function graphics() {
  try {
    return Boolean(WebAssembly.Suspending && navigator.gpu && (await navigator.gpu.requestAdapter()));
  } catch {
    return false;
  }
}

/** Processor cores that compute, where the browser lends more than one: real ones, of which there are usually half as many as it tells. */
function cores() {
  const told = navigator.hardwareConcurrency || 1;
  return told <= 2 ? told : Math.min(8, Math.ceil(told / 2));
}

async function loaded(files, fast) {
  say("Starting the model");
  offloaded = false;
  engine = new Wllama({ default: "data:," }, { cacheManager: nowhere, logger: quiet });
  engine.setCompat(null);
  await engine.loadModel(files, {
    n_ctx: page.context,
    n_parallel: 1,
    cache_type_k: "f32", // as where the answers were written down: in sixteen bits near ties fall otherwise
    cache_type_v: "f32",
    flash_attn: false,
    n_threads: cores(),
    seed: 0,
    jinja: true,
    reasoning_format: "none",
    skip_chat_parsing: true,
    warmup: false,
    ...(fast ? {} : { n_gpu_layers: 0 }),
    ...(files.length > 1 ? { lora_adapters: [{ path: PLACE, scale: 1 }] } : {}),
  });
  const count = engine.getNumThreads();
  device = offloaded ? "The graphics card computes." : `The processor computes, on ${count} ${count === 1 ? "core" : "cores"}.`;
}

function asked(messages, learned, more) {
  return {
    messages: page.system ? [{ role: "system", content: page.system }, ...messages] : messages,
    temperature: 0,
    ...(page.adapter ? { lora: [{ id: 0, scale: learned ? 1 : 0 }] } : {}),
    ...more,
  };
}

/** Whether the browser's tokens for a known question are the ones that were written down. */
async function same(one) {
  const answer = await engine.createChatCompletion({
    ...asked(one.messages, true, { max_tokens: one.tokens.length, logprobs: true, top_logprobs: 1 }),
    messages: one.messages,
  });
  const said = answer.choices[0].logprobs?.content?.map((token) => token.id) ?? [];
  return one.tokens.every((token, i) => said[i] === token);
}

async function open() {
  globalThis.llamaProgram = await unpacked("llama.wasm.gz");
  const files = [new File([await part("base.gguf")], "model-00001-of-00002.gguf")];
  if (page.adapter) files.push(new File([await part("learned.gguf")], "model-00002-of-00002.gguf"));
  let instead = "";
  if (await graphics()) {
    try {
      await loaded(files, true);
      if ((await proved(page.known, same)) === page.known.length) return show(page.known.length, page.known.length, device);
    } catch (error) {
      console.warn("The graphics card could not run it.", error);
    }
    if (offloaded) instead = "The graphics card of this device got it wrong. ";
    await engine.exit(); // the slower way is asked before anything is said of the browser
  }
  await loaded(files, false);
  return show(await proved(page.known, same), page.known.length, instead + device);
}

// ---- talking ----

function line(who, text = "") {
  const item = document.createElement("li");
  item.className = who === "You" ? "mine" : "theirs";
  const name = document.createElement("span");
  name.className = "who";
  name.textContent = who;
  const words = document.createElement("p");
  words.textContent = text;
  item.append(name, words);
  at("talk").append(item);
  item.scrollIntoView({ block: "nearest" });
  return words;
}

async function answered(messages, learned, words) {
  let tokens = 0;
  const begun = performance.now();
  await engine.createChatCompletion({
    ...asked(messages, learned, { max_tokens: page.longest, stream: true }),
    abortSignal: stopping.signal,
    onData: (piece) => {
      const more = piece.choices?.[0]?.delta?.content;
      if (!more) return;
      tokens++;
      words.textContent += more;
    },
  });
  const seconds = (performance.now() - begun) / 1000;
  at("pace").textContent = `${tokens} tokens in ${seconds.toFixed(1)} s, on this device.`;
  at("pace").dataset.pace = tokens / seconds;
  return words.textContent;
}

async function ask(event) {
  event.preventDefault();
  const question = at("question").value.trim();
  if (!question || stopping) return;
  stopping = new AbortController();
  at("question").value = "";
  at("send").hidden = true;
  at("stop").hidden = false;
  at("talk").setAttribute("aria-busy", "true");
  line("You", question);
  if (!at("remember").checked) talk = [];
  talk.push({ role: "user", content: question });
  const which = document.querySelector("input[name=which]:checked")?.value ?? "after";
  try {
    let said = "";
    if (which !== "after") said = await answered(talk, false, line("Before"));
    if (which !== "before") said = await answered(talk, true, line(which === "both" ? "After" : "Answer"));
    talk.push({ role: "assistant", content: said });
    at("said").textContent = said;
  } catch (error) {
    if (error.name !== "AbortError") {
      line("Note", "That did not work: the conversation may be too long. It begins anew with your next question.");
      console.warn(error);
    }
    talk = [];
  } finally {
    stopping = null;
    at("send").hidden = false;
    at("stop").hidden = true;
    at("talk").setAttribute("aria-busy", "false");
    at("question").focus();
  }
}

at("remember").checked = page.remember;
at("form").addEventListener("submit", ask);
at("stop").addEventListener("click", () => stopping?.abort());
at("anew").addEventListener("click", () => {
  stopping?.abort();
  talk = [];
  at("talk").replaceChildren();
  at("question").focus();
});
at("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) ask(event);
});
begin(open);
