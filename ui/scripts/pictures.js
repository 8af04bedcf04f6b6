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

  // Where the model looked is shown on all of them or on none; the list is drawn anew now and then.
  const root = document.documentElement;
  document.addEventListener('change', (event) => { if (event.target.matches?.('[data-why]')) root.classList.toggle('show-why', event.target.checked); });
  const kept = () => document.querySelectorAll('[data-why]').forEach((box) => { box.checked = root.classList.contains('show-why'); });

  const look = () => { kept(); figures(); };
  const figures = () => document.querySelectorAll('figure.later:not(.waiting):not(.asked)').forEach((figure) => { figure.classList.add('waiting', 'asked'); sight.observe(figure); });
  document.addEventListener('DOMContentLoaded', () => { new MutationObserver(look).observe(document.body, {childList: true, subtree: true}); look(); });
  return {look};
})();
