// Fills the page with what the app tells on one stream: the panel of the run, the list at the side, and, when a run begins or ends, the wires
// that Gradio's events listen to. A window that cannot be seen has no stream.
'use strict';
lab.live = (() => {
  const nothing = () => ({run: '', regions: {}, bar: null, curve: null, points: [], most: [0, 0, 0]});
  let now = nothing(), run = null, source = null, born = '', filled = new Map(), due = 0, seen = null;

  function paint() {
    due = 0;
    const root = document.querySelector('#live');
    if (!root) return;
    if (seen !== root) { seen = root; filled = new Map(); new ResizeObserver(curve).observe(root); }
    root.classList.toggle('without-run', !now.run);
    for (const place of root.querySelectorAll('[data-live]')) {
      const html = now.regions[place.dataset.live] || '';
      if (filled.get(place) !== html) { filled.set(place, html); place.innerHTML = html; }
    }
    for (const place of document.querySelectorAll('[data-live^="work:"]')) {
      const html = now.regions[place.dataset.live];
      if (html !== undefined && place.innerHTML !== html) place.innerHTML = html;
    }
    bar(root.querySelector('.parts'));
    curve();
  }

  function bar(shape) {
    if (!now.bar) return;
    let whole = 0;
    [...shape.children].forEach((part, at) => {
      const done = now.bar.active ? (now.most[at] = Math.max(now.most[at], now.bar.done[at])) : now.bar.done[at]; // it never goes back
      whole += now.bar.shares[at] * done;
      part.style.flexGrow = now.bar.shares[at];
      part.firstElementChild.style.transform = `scaleX(${done})`;
    });
    shape.setAttribute('aria-valuenow', String(Math.round(100 * whole)));
    shape.setAttribute('aria-valuetext', `${Math.round(100 * whole)} %, ${document.querySelector('[data-live="left"]')?.textContent || ''}`);
    shape.classList.toggle('waits', now.bar.active === false);
  }

  function curve() {
    const box = document.querySelector('#curve');
    box?.closest('.chart').classList.toggle('empty', !now.points.length);
    if (box?.clientWidth) lab.curve.draw(box, now.points, now.curve || {held: [], marks: [], remarks: []});
  }

  function soon() { due ||= requestAnimationFrame(paint); }

  function hear(told) {
    if (born && told.born !== born) return location.reload(); // another start of the app knows nothing of this page
    born = told.born;
    if (told.run !== run) return;
    now.run = told.run;
    Object.assign(now.regions, told.regions || {});
    if (told.bar) now.bar = told.bar;
    if (told.curve) now.curve = told.curve;
    if (told.points) now.points = told.anew ? told.points : now.points.concat(told.points);
    else if (told.anew) now.points = [];
    for (const name of ['runs', 'moment', 'known', 'work', 'news']) if (told[name] !== undefined) lab.put(name, told[name]);
    if (told.working !== undefined) lab.working = told.working;
    if (told.next) lab.choose(told.next);
    soon();
  }

  function open(name) {
    mark(name);
    if (name !== run) { run = name; now = nothing(); now.run = name; soon(); }
    else if (source) return;
    close();
    if (document.hidden) return;
    const after = now.points.length ? now.points[now.points.length - 1][0] : 0;
    source = new EventSource('/lab/live?' + new URLSearchParams({run: name, after}));
    source.onmessage = (event) => { lab.door.heard(); hear(JSON.parse(event.data)); };
    source.onerror = () => { close(); lab.door.lost(); };
  }

  // Whoever chose it, the list or the way back, the list shows which run the page is of.
  function mark(name) {
    for (const it of document.querySelectorAll('#runs .run[data-pick]')) {
      if (it.dataset.pick === name) it.setAttribute('aria-current', 'true');
      else it.removeAttribute('aria-current');
    }
  }

  function close() { source?.close(); source = null; }

  // A run that is chosen in the list is the page's at once; the events of the other tabs follow.
  document.addEventListener('click', (event) => {
    const chosen = event.target.closest?.('#runs .run[data-pick]');
    if (!chosen || chosen.dataset.pick.includes(':')) return;
    event.stopPropagation();
    lab.choose(chosen.dataset.pick);
  }, true);
  // What was pressed is answered at once; the stream says what came of it.
  document.addEventListener('click', (event) => {
    const pressed = event.target.closest?.('#live [data-pick]');
    if (pressed) { pressed.textContent = 'One moment …'; setTimeout(() => { pressed.disabled = true; }, 0); filled.delete(pressed.parentElement); }
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => setTimeout(soon, 100)); // the curve, once the page has its colours
  document.addEventListener('visibilitychange', () => { if (document.hidden) close(); else if (run !== null) open(run); });
  return {open, again: () => open(run ?? ''), repaint: soon, marked: () => { if (run !== null) mark(run); }};
})();
