// Cards to look through and maps to click: a button says what was pressed and what was typed beside it; keys press the buttons of the card.
'use strict';
lab.making = (element, trigger) => {
  const press = (button) => {
    const card = button.closest('.review');
    trigger('click', {pick: button.dataset.pick, typed: card?.querySelector('.typed')?.value ?? '', answer: card?.querySelector('.answered')?.value ?? ''});
  };
  let held = false; // a key was pressed: the next card takes the focus, so that the next key finds it
  element.addEventListener('click', (event) => {
    const button = event.target.closest('[data-pick]');
    if (button) press(button);
  });
  element.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const spot = event.target.closest('.spot');
    if (spot && (event.key === 'Enter' || event.key === ' ')) { event.preventDefault(); press(spot); return; }
    if (event.target.matches('textarea, input')) return;
    const button = element.querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
    if (button) { event.preventDefault(); held = true; press(button); }
  });
  new MutationObserver(() => {
    if (!held || !element.querySelector('.review')) return;
    held = false;
    (element.querySelector('.typed') || element.querySelector('.review')).focus();
  }).observe(element, {childList: true, subtree: true});
};
