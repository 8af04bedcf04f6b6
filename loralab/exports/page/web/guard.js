"use strict";
// Runs first: a page that was cut short, or whose programs a browser does not know, says so by itself.
const tooOld = "This browser is too old for this page. Open it in a newer Chrome, Edge or Firefox.";
const cutShort = "This file is damaged: it was cut short on its way. Copy it again from where it came.";
function giveUp(words) {
  const place = document.getElementById("state");
  if (!place) return;
  place.textContent = words;
  place.className = "state bad";
  document.getElementById("bar").hidden = true;
}
document.addEventListener("DOMContentLoaded", () => {
  if (!document.getElementById("end")) giveUp(cutShort);
  else if (typeof WebAssembly !== "object" || typeof DecompressionStream !== "function") giveUp(tooOld);
});
