// The frame of the page: which tab is seen, and the address that says so. A tab is shown by an attribute of the page and costs no event.
// Tab and run stand in the address, so that reload, back and a second window work. The app turns to a tab through a wire (ui/wires.py).
'use strict';
window.lab = (() => {
  const root = document.documentElement;
  const read = () => { const asked = new URLSearchParams(location.search); return {tab: asked.get('tab') || 'dataset', run: asked.get('run') || ''}; };
  const written = (where) => '?' + new URLSearchParams(where.run ? where : {tab: where.tab});
  const TOPICS = {dataset: 'plan', plan: 'plan', memory: 'memory'}, SETTLED = 600; // ms on a tab before the advisor hears of it
  const wires = {}, shown = {};
  let here = read(), due = 0, telling = 0;
  root.dataset.tab = here.tab;

  const put = (name, value) => { if (wires[name] && wires[name].value !== value) wires[name].value = value; };
  const buttons = () => [...document.querySelectorAll('#steps [role=tab]')];

  function draw() {
    root.dataset.tab = here.tab;
    buttons().forEach((button, at, all) => {
      const on = button.dataset.tab === here.tab;
      button.setAttribute('aria-selected', String(on));
      button.tabIndex = on || (!at && !all.some((it) => it.dataset.tab === here.tab)) ? 0 : -1;
    });
    put('tab', here.tab);
    clearTimeout(telling);
    telling = setTimeout(() => put('topic', TOPICS[here.tab] || 'run'), SETTLED);
  }

  // What changes in one moment is one step of the way back; what the app says first is where the way begins.
  function note() {
    clearTimeout(due);
    due = setTimeout(() => {
      if (written(here) === location.search) return;
      const before = read(), step = location.search && (before.tab !== here.tab || (before.run && before.run !== here.run));
      history[step ? 'pushState' : 'replaceState'](null, '', written(here));
    }, 0);
  }

  function go(tab) {
    if (tab === here.tab) return;
    here = {...here, tab};
    draw();
    note();
    window.scrollTo(0, 0);
    // on a small screen a side lies over the page: whoever went somewhere wants to see that
    if (window.innerWidth < 900) document.querySelectorAll('.sidebar.open .toggle-button').forEach((it) => it.click());
    for (const told of shown[tab] || []) told();
  }

  function key(event) {
    const all = buttons(), at = all.indexOf(event.target), to = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1}[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const next = all[(to + all.length) % all.length];
    go(next.dataset.tab);
    next.focus();
  }

  window.addEventListener('popstate', () => {
    const before = here.tab;
    here = read();
    draw();
    lab.choose(here.run);
    if (here.tab !== before) for (const told of shown[here.tab] || []) told();
  });
  document.addEventListener('click', (event) => {
    const to = event.target.closest?.('[data-go]');
    if (to) go(to.dataset.go);
    if (event.target.closest?.('.skip')) { event.preventDefault(); document.querySelector(`#panel-${here.tab}`)?.focus(); }
  });
  document.addEventListener('keydown', (event) => { if (event.target.matches?.('#steps [role=tab]')) key(event); });

  return {
    go,
    put,
    closed: false,
    choose(run) { here = {...here, run}; note(); put('run', run); lab.live.open(run); },
    // A wire's first word: its value is written by the app or by the page, and both hear of it.
    wire(name, props, watch) {
      wires[name] = props;
      if (name === 'turn') watch('value', () => go(props.value.split(' ')[0]));
      if (name === 'run') { watch('value', () => { here = {...here, run: props.value}; note(); lab.live.open(here.run); }); lab.live.open(here.run); }
      if (name === 'tab') put('tab', here.tab);
    },
    onShown(tab, told) { (shown[tab] ||= []).push(told); if (tab === here.tab) told(); },
    // Everything is on the page.
    ready() {
      for (const panel of document.querySelectorAll('.tab-panel')) {
        const name = panel.id.replace('panel-', ''), button = document.querySelector(`#steps [data-tab="${name}"]`);
        panel.tabIndex = -1;
        panel.setAttribute('role', button ? 'tabpanel' : 'region');
        if (button) panel.setAttribute('aria-labelledby', button.id);
        else panel.setAttribute('aria-label', 'What I remember');
      }
      draw();
      // Gradio names the drop zone otherwise than it is labelled, each time that it draws it
      for (const drop of document.querySelectorAll('.drop, #bring-in')) { // what is folded comes onto the page when it is opened
        const say = () => drop.querySelectorAll('button[aria-dropeffect]').forEach((button) => {
          const words = 'Drop a file here, or choose one', text = button.querySelector('[data-testid="upload-text"]');
          button.ariaLabel = words;
          if (text && text.textContent !== words) text.textContent = words;
        });
        say();
        new MutationObserver(say).observe(drop, {childList: true, subtree: true});
      }
    },
  };
})();
