// Where an error is said: beside the action that it answers, until that is tried again. Python sends it as one of Gradio's messages
// (ui/errors.py), which would vanish after a while and leave nothing; here it is put in its place. What nobody asked for stays a message.
'use strict';
{
  const ACTIONS = 'button, [data-pick], input, textarea, [role=option]', PLACES = '.actions, .form-grid, .block, .extra, .live-actions, .plain-row, .run-head';
  let made = 0;
  let last = null, actor = null; // the places around the last action, the nearest first; what was pressed or filled in

  function around(element) {
    const found = [];
    for (let place = element.closest(PLACES); place; place = place.parentElement?.closest(`${PLACES}, .column`)) found.push(place);
    return found;
  }
  const seen = (place) => place.isConnected && place.getClientRects().length > 0;

  function acted(event) {
    const action = event.target.closest?.(ACTIONS);
    if (!action || action.closest('.toast-wrap, .said')) return;
    last = around(action);
    actor = action;
    for (const said of document.querySelectorAll('.said.here')) if (last[0] && last[0].nextElementSibling === said) take(said);
  }
  for (const kind of ['click', 'change', 'drop', 'submit']) document.addEventListener(kind, acted, true);
  document.addEventListener('keydown', (event) => { if (event.key === 'Enter') acted(event); }, true);

  // Who hears the page instead of seeing it is told at the field or button what was said of it.
  function tie(place, said) {
    const named_one = document.getElementById(named(said, 'at') || ''), again = said.dataset.part && place.querySelector(said.dataset.part);
    const inside = [named_one, again, actor].find((one) => one && place.contains(one)) || place;
    const field = inside.querySelector('input:not([type=file], [type=radio], [type=checkbox]), textarea');
    const part = inside.matches('button, input, textarea') ? inside : field || inside.querySelector('button');
    if (!part) return;
    said.id ||= `said-${++made}`;
    said.dataset.part = part.id ? `#${CSS.escape(part.id)}` : part.dataset.pick ? `[data-pick="${CSS.escape(part.dataset.pick)}"]` : '';
    part.setAttribute('aria-describedby', said.id);
    if (!part.matches('button')) part.setAttribute('aria-invalid', 'true');
  }

  function take(said) {
    const part = said.id && document.querySelector(`[aria-describedby="${said.id}"]`);
    if (part) { part.removeAttribute('aria-describedby'); part.removeAttribute('aria-invalid'); }
    said.remove();
  }

  // Gradio takes all attributes but classes off what Python sends: `at-drop` names a place, `go-plan` a tab, `press-x` a button there.
  const named = (element, what) => [...element.classList].find((name) => name.startsWith(`${what}-`))?.slice(what.length + 1);

  function put(said) {
    const named_one = document.getElementById(named(said, 'at') || '');
    const place = named_one ? named_one.closest(PLACES) || named_one : (last || []).find(seen); // a named one is right also while another tab is seen
    if (!place) return;
    const toast = said.closest('.toast-body');
    if (place.nextElementSibling?.matches('.said.here')) take(place.nextElementSibling);
    said.classList.add('here');
    said.setAttribute('role', 'alert');
    place.after(said);
    tie(place, said);
    lab.live.repaint(); // what waits for an answer there has it
    for (const button of said.querySelectorAll('button')) {
      button.onclick = () => {
        if (named(button, 'go')) lab.go(named(button, 'go'));
        const help = document.getElementById(named(button, 'press') || '');
        help?.scrollIntoView({block: 'center'});
        help?.click();
      };
    }
    said.scrollIntoView({block: 'nearest'});
    if (toast && !toast.querySelector('.said')) {
      toast.style.display = 'none';
      toast.querySelector('.toast-close')?.click();
    }
  }
  // A button that is drawn anew knows nothing of what was said of it.
  function again(said) {
    const place = said.previousElementSibling;
    if (said.id && place && !document.querySelector(`[aria-describedby="${said.id}"]`)) tie(place, said);
  }
  new MutationObserver(() => {
    document.querySelectorAll('.toast-wrap .said').forEach(put);
    document.querySelectorAll('.said.here').forEach(again);
  }).observe(document, {childList: true, subtree: true});
}
