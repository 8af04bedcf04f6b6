// The marks on the settings of a plan: what is wrong stands under its field, and an arrow leads back to what was proposed (ui/form.py).
'use strict';
window.fields = (() => {
  let said = {wrong: {}, changed: []}, back = () => {};

  function mark(block) {
    const name = block.id.slice(4), words = said.wrong[name], input = block.querySelector('input, textarea');
    let under = block.querySelector('.field-wrong'), arrow = block.querySelector('.field-back');
    block.classList.toggle('wrong', Boolean(words));
    input?.setAttribute('aria-invalid', String(Boolean(words)));
    if (words) {
      if (!under) { under = document.createElement('p'); under.className = 'field-wrong'; under.id = `wrong-${name}`; block.append(under); }
      if (under.textContent !== words) under.textContent = words;
      input?.setAttribute('aria-describedby', under.id);
    } else under?.remove();
    if (words || said.changed.includes(name)) {
      if (arrow) return;
      arrow = Object.assign(document.createElement('button'), {type: 'button', className: 'field-back', textContent: '\u21ba', title: 'Back to what was chosen for you'});
      arrow.setAttribute('aria-label', 'Back to what was chosen for you');
      arrow.onclick = (event) => { event.preventDefault(); back(name); };
      block.append(arrow);
    } else arrow?.remove();
  }

  function draw() {
    const blocks = [...document.querySelectorAll('[id^="set-"]')];
    blocks.forEach(mark);
    for (const fold of document.querySelectorAll('.settings .fold')) fold.classList.toggle('has-wrong', blocks.some((it) => it.matches('.wrong') && fold.contains(it)));
  }
  // what is folded may not be on the page before it is opened
  document.addEventListener('click', (event) => { if (event.target.closest?.('.settings .fold')) setTimeout(draw, 60); });

  return {
    // A field and the place where what is wrong with it is said.
    tied(field, place) {
      const input = document.querySelector(`#${field} input`), wrong = Boolean(document.querySelector(`#${place} .notice.error`));
      input.setAttribute('aria-invalid', String(wrong));
      if (wrong) input.setAttribute('aria-describedby', place);
      else input.removeAttribute('aria-describedby');
    },
    start(props, watch, trigger) {
      const heard = () => { said = {wrong: {}, changed: [], ...JSON.parse(props.value || '{}')}; draw(); };
      back = (name) => trigger('click', {pick: name});
      watch('value', heard);
      heard();
    },
  };
})();
