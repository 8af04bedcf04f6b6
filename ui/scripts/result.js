// A run's home: a name that is edited where it stands, five answers judged with the keys, and folds that stay as they were left.
'use strict';
lab.home = (element, trigger) => {
  const say = (pick) => trigger('click', {pick});
  const KEYS = {1: 'first', 2: 'second', 3: 'both', 0: 'neither'};
  const open = new Set();

  element.addEventListener('click', (event) => {
    const edit = event.target.closest('[data-edit]'), judge = event.target.closest('[data-judge]'), item = event.target.closest('.menu-items button');
    const press = event.target.closest('[data-press]'), fold = event.target.closest('summary')?.parentElement, name = fold?.dataset.keep;
    if (name) { if (fold.open) open.delete(name); else open.add(name); } // at once: what is told of it later may come after a new drawing
    if (press) document.querySelector(`#${press.dataset.press}`)?.click();
    if (edit?.dataset.edit === 'own') own(edit);
    else if (edit) rename();
    if (judge) chosen(judge.closest('article'), judge.dataset.judge);
    if (item) item.closest('details').open = false;
  });
  element.addEventListener('submit', (event) => {
    event.preventDefault();
    if (event.target.dataset.form === 'own') waits(event.target);
    say(`${event.target.dataset.form}:${new FormData(event.target).get('value')}`);
  });
  element.addEventListener('keydown', (event) => {
    const article = event.target.closest('[data-five] article'), menu = event.target.closest('.menu[open]');
    if (event.key === 'Escape' && event.target.closest('.run-form')) rename();
    if (event.key === 'Escape' && event.target.closest('.own-form')) element.querySelector('[data-edit=own]').click();
    if (event.key === 'Escape' && menu) { menu.open = false; menu.querySelector('summary').focus(); }
    if (article && KEYS[event.key] && !event.ctrlKey && !event.metaKey && !event.altKey) { event.preventDefault(); chosen(article, KEYS[event.key]); }
  });
  element.addEventListener('focusout', (event) => {
    const menu = event.target.closest('.menu[open]');
    if (menu && event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
  });
  element.addEventListener('toggle', (event) => {
    const fold = event.target, name = fold.dataset?.keep;
    if (!name) return;
    if (fold.open) open.add(name); else open.delete(name);
    if (fold.open) fold.querySelector('[data-five] article:not([hidden])')?.focus();
  }, true);

  function rename() {
    const head = element.querySelector('.run-name'), form = element.querySelector('.run-form'), editing = form.hidden;
    form.hidden = !editing;
    head.hidden = editing;
    const seen = editing ? form.querySelector('input') : head.querySelector('[data-edit]');
    seen.focus();
    if (editing) seen.select();
  }

  function own(button) {
    const form = element.querySelector('.own-form');
    form.hidden = !form.hidden;
    button.setAttribute('aria-expanded', String(!form.hidden));
    if (!form.hidden) form.querySelector('input').focus();
  }

  // The answers take a moment, the first one some seconds: what comes of it replaces the form.
  function waits(form) {
    form.querySelector('.own-said').textContent = 'Asking it, before and now. The first time the model is loaded …';
    form.querySelector('[type=submit]').disabled = true;
    form.querySelector('input').readOnly = true;
  }

  function chosen(article, pick) {
    article.dataset.pick5 = pick;
    article.hidden = true;
    const all = [...article.parentElement.querySelectorAll('article')], next = all[all.indexOf(article) + 1];
    if (next) { next.hidden = false; next.focus(); return; }
    say('judged:' + JSON.stringify(Object.fromEntries(all.map((it) => [it.dataset.row, it.dataset.pick5]))));
  }

  const again = () => element.querySelectorAll('[data-keep]').forEach((fold) => { fold.open = open.has(fold.dataset.keep); });
  new MutationObserver(again).observe(element, {childList: true, subtree: true}); // whenever any of it is drawn anew
};
document.addEventListener('click', (event) => { // a menu closes when a person looks elsewhere
  document.querySelectorAll('.menu[open]').forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
});
