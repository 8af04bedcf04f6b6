// Pictures that a model has to look at first: asked for one after the other, once they are in sight, so that the page's own requests are not kept waiting.
'use strict';
lab.pictures = (() => {
  const waiting = [];
  let busy = false;

  function next() {
    const image = busy ? null : waiting.shift();
    if (!image) return;
    if (!image.isConnected) { next(); return; }
    busy = true;
    const done = (there) => { busy = false; image.closest('figure').classList.toggle('failed', !there); image.closest('figure').classList.remove('waiting'); next(); };
    image.onload = () => done(true);
    image.onerror = () => done(false);
    image.src = image.dataset.later;
  }

  const sight = new IntersectionObserver((seen) => {
    for (const one of seen) {
      if (!one.isIntersecting) continue;
      sight.unobserve(one.target);
      waiting.push(one.target.querySelector('img'));
    }
    next();
  }, {rootMargin: '200px'});

  const look = () => document.querySelectorAll('figure.later:not(.waiting):not(.asked)').forEach((figure) => { figure.classList.add('waiting', 'asked'); sight.observe(figure); });
  document.addEventListener('DOMContentLoaded', () => { new MutationObserver(look).observe(document.body, {childList: true, subtree: true}); look(); });
  return {look};
})();
