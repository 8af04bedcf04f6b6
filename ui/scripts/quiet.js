// Runs before Gradio's own scripts. A waiting clock of Gradio's that is taken off the page while it runs asks for one frame after the
// other for ever, and its start screen is such a clock. All that a frame does there is the text of the clock, so it gets one a second.
'use strict';
{
  const frame = window.requestAnimationFrame.bind(window);
  const isClock = (code) => code.length < 120 && code.includes('performance.now()') && code.includes('/1e3');
  // Once the app is closed Gradio would ask for it again and again, each time with an error: it waits instead (door.js).
  const ask = window.fetch.bind(window);
  window.fetch = (...all) => (window.lab?.closed ? new Promise(() => {}) : ask(...all));
  window.requestAnimationFrame = (callback) =>
    isClock(Function.prototype.toString.call(callback)) ? -setTimeout(() => callback(performance.now()), 1000) : frame(callback);
}
