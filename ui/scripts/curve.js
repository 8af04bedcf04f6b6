// Draws the curve of a run on a canvas, when something changed and never in a loop. One early divergence does not squeeze the rest flat:
// the axis is made for what is usual, and what goes beyond is cut and said.
'use strict';
lab.curve = (() => {
  const HEIGHT = 300, PAD = {left: 46, right: 14, top: 16, bottom: 34}, WEIGHT = 0.85;
  const colour = (name) => getComputedStyle(document.querySelector('.gradio-container') || document.body).getPropertyValue(name).trim() || '#888';
  const SHAPES = {skipped: ['#c2850c', 'x'], back: ['#d9480f', '◀'], memory: ['#7c6ee6', '◆'], other: ['#7b8794', '●']};

  // Exponential moving average with the start corrected (Kingma & Ba 2015, section 3), so that it begins at the first value.
  function smooth(points) {
    let running = 0;
    return points.map(([step, loss], at) => [step, (running = WEIGHT * running + (1 - WEIGHT) * loss) / (1 - WEIGHT ** (at + 1))]);
  }

  const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];

  function axis(points, held, base) {
    const sorted = points.map((it) => it[1]).sort((a, b) => a - b), usual = sorted.length ? quantile(sorted, 0.97) : 0;
    const most = Math.max(usual, base ?? 0) || Math.max(...held.map((it) => it[1]), 1);
    const seen = [...held.map((it) => it[1]).filter((it) => it <= 2 * most), ...(base == null ? [] : [base]), usual];
    const high = Math.max(...seen, 1e-9), low = Math.min(...seen, sorted.length ? sorted[0] : high);
    const room = 0.06 * (high - low || high);
    return [Math.max(0, low - room), high + room];
  }

  function ticks(low, high, wanted) {
    const rough = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(rough || 1));
    const step = [1, 2, 2.5, 5, 10].map((it) => it * power).find((it) => it >= rough) || rough || 1, found = [];
    for (let at = Math.ceil(low / step) * step; at <= high + 1e-9; at += step) found.push(at);
    return [found, Math.max(0, Math.min(3, -Math.floor(Math.log10(step)) + (step / power === 2.5 ? 1 : 0)))];
  }

  function height(line, step) {
    const right = line.findIndex((it) => it[0] >= step);
    if (right < 0) return line[line.length - 1][1];
    if (!right) return line[0][1];
    const [before, after] = [line[right - 1], line[right]];
    return before[1] + (after[1] - before[1]) * (step - before[0]) / (after[0] - before[0]);
  }

  function draw(box, points, data) {
    const canvas = box.querySelector('canvas'), wide = box.clientWidth, scale = window.devicePixelRatio || 1;
    if (!wide || !data) return;
    if (canvas.width !== Math.round(wide * scale)) { canvas.width = Math.round(wide * scale); canvas.height = HEIGHT * scale; }
    canvas.style.height = `${HEIGHT}px`;
    const pen = canvas.getContext('2d'), held = data.held, base = data.base ?? null;
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, wide, HEIGHT);
    const quiet = colour('--quiet'), line = colour('--line'), accent = colour('--accent'), faint = colour('--tone-4');
    const [low, high] = axis(points, held, base), last = Math.max(points.length ? points[points.length - 1][0] : 0, held.length ? held[held.length - 1][0] : 0, 1);
    const X = (step) => PAD.left + (wide - PAD.left - PAD.right) * step / last;
    const Y = (loss) => PAD.top + (HEIGHT - PAD.top - PAD.bottom) * (high - Math.min(loss, high)) / (high - low || 1);
    pen.font = '12px system-ui, sans-serif';
    pen.lineWidth = 1;
    const [rows, digits] = ticks(low, high, 4), [columns] = ticks(0, last, Math.max(2, Math.floor(wide / 140)));
    pen.textBaseline = 'middle';
    for (const at of rows) {
      pen.strokeStyle = line; pen.beginPath(); pen.moveTo(PAD.left, Y(at)); pen.lineTo(wide - PAD.right, Y(at)); pen.stroke();
      pen.fillStyle = quiet; pen.textAlign = 'right'; pen.fillText(at.toFixed(digits), PAD.left - 8, Y(at));
    }
    pen.textAlign = 'center';
    for (const at of columns) if (Number.isInteger(at)) pen.fillText(at.toLocaleString('en'), X(at), HEIGHT - PAD.bottom + 14);
    pen.fillText('updates', (PAD.left + wide - PAD.right) / 2, HEIGHT - 5);
    const path = (these, style, width, dash = []) => {
      pen.strokeStyle = style; pen.lineWidth = width; pen.setLineDash(dash); pen.lineJoin = 'round'; pen.beginPath();
      these.forEach(([step, loss], at) => (at ? pen.lineTo(X(step), Y(loss)) : pen.moveTo(X(step), Y(loss))));
      pen.stroke(); pen.setLineDash([]);
    };
    const even = smooth(points);
    path(points, faint, 1);
    path(even, quiet, 2.5);
    if (base !== null) path([[0, base], [last, base]], accent, 1.5, [2, 4]);
    path(held, accent, 3);
    pen.fillStyle = accent;
    for (const [step, loss] of held) { pen.beginPath(); pen.arc(X(step), Y(loss), 4, 0, 7); pen.fill(); }
    const beyond = Math.max(...points.map((it) => it[1]), ...held.map((it) => it[1]), 0);
    if (beyond > 1.5 * high) {
      const where = points.find((it) => it[1] === beyond) || held.find((it) => it[1] === beyond);
      pen.fillStyle = quiet; pen.textAlign = X(where[0]) > wide / 2 ? 'right' : 'left';
      pen.fillText(`▲ up to ${beyond.toPrecision(3)} here`, X(where[0]) + (X(where[0]) > wide / 2 ? -6 : 6), PAD.top - 6);
    }
    const spots = [];
    if (even.length) for (const mark of data.marks) {
      const at = Math.min(Math.max(mark.step, even[0][0]), even[even.length - 1][0]), [style, shape] = SHAPES[mark.kind] || SHAPES.other;
      pen.fillStyle = style; pen.textAlign = 'center'; pen.font = 'bold 14px system-ui, sans-serif';
      pen.fillText(shape === 'x' ? '✕' : shape, X(at), Y(height(even, at)));
      spots.push({x: X(at), step: mark.step, lines: mark.lines});
    }
    pen.font = '11.5px system-ui, sans-serif';
    data.remarks.forEach((note, number) => {
      const under = note.best && held.length ? held : even;
      if (!under.length) return;
      const x = X(Math.min(note.step, last)), y = Y(height(under, note.step)), left = note.step > last / 2, to = note.best && held.length ? 26 : -26 - 18 * (number % 2);
      const end = Math.min(Math.max(y + to, PAD.top + 6), HEIGHT - PAD.bottom - 8);
      pen.strokeStyle = quiet; pen.lineWidth = 1; pen.beginPath(); pen.moveTo(x, y); pen.lineTo(x + (left ? -14 : 14), end); pen.stroke();
      pen.fillStyle = quiet; pen.textAlign = left ? 'right' : 'left'; pen.fillText(note.text, x + (left ? -17 : 17), end);
    });
    canvas.setAttribute('aria-label', [told(points, held, base), ...data.remarks.map((it) => `update ${it.step}: ${it.text}`)].join('; '));
    box.shown = {points, held, spots, X, last, wide};
    if (!box.heard) hear(box);
  }

  function told(points, held, base) {
    if (!points.length) return 'The loss, update by update: nothing yet';
    const [step, loss] = points[points.length - 1];
    return `The loss after ${step} updates is ${loss.toFixed(2)}` + (held.length ? `; on held-out examples ${held[held.length - 1][1].toFixed(2)}` : '') + (base === null ? '' : `, before training ${base.toFixed(2)}`);
  }

  // What is under the pointer, in words.
  function hear(box) {
    const tip = box.querySelector('.curve-tip');
    box.heard = true;
    box.addEventListener('pointerleave', () => { tip.hidden = true; });
    box.addEventListener('pointermove', (event) => {
      const {points, held, spots, X, wide} = box.shown, x = event.clientX - box.getBoundingClientRect().left;
      if (!points.length) return;
      const nearest = points.reduce((best, it) => (Math.abs(X(it[0]) - x) < Math.abs(X(best[0]) - x) ? it : best));
      const lines = [`Update ${nearest[0].toLocaleString('en')}: loss ${nearest[1].toFixed(3)}`];
      const look = held.find((it) => Math.abs(X(it[0]) - x) < 8);
      if (look) lines.push(`held-out ${look[1].toFixed(3)}`);
      for (const spot of spots.filter((it) => Math.abs(it.x - x) < 10)) lines.push(...spot.lines);
      tip.textContent = lines.join('\n');
      tip.hidden = false;
      tip.style.left = `${Math.min(Math.max(0, x + 12), wide - tip.offsetWidth)}px`;
    });
  }

  return {draw};
})();
