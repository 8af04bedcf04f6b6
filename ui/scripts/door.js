// What the page does when the app is closed: it says so, stays quiet, and goes on when the app is back. And the way to close it.
'use strict';
lab.door = (() => {
  const PAUSES = [1000, 2000, 4000, 8000, 10000], PATIENCE = 2; // failed tries before it is said
  let tries = 0, timer = 0;

  function heard() {
    tries = 0;
    if (lab.closed) location.reload(); // what the app knew of this page went with it; the address says where it was
  }

  function lost() {
    tries += 1;
    if (tries >= PATIENCE) shut();
    clearTimeout(timer);
    timer = setTimeout(lab.live.again, PAUSES[Math.min(tries, PAUSES.length) - 1]);
  }

  function shut(words) {
    lab.closed = true; // Gradio asks for nothing from now on (quiet.js)
    if (document.querySelector('.closed')) return;
    const cover = document.createElement('div');
    cover.className = 'closed';
    cover.setAttribute('role', 'alertdialog');
    cover.setAttribute('aria-labelledby', 'closed-title');
    cover.innerHTML = '<div><h2 id="closed-title">LoRALab is closed.</h2><p></p></div>';
    cover.querySelector('p').textContent = words || `${lab.working ? 'Your training goes on. ' : ''}Start it again and this page continues.`;
    document.body.append(cover);
    cover.tabIndex = -1;
    cover.focus();
  }

  async function quit() {
    const asked = await fetch('/lab/quit'), box = document.createElement('dialog');
    box.className = 'quit';
    box.innerHTML = '<form method="dialog"><h2>Close LoRALab?</h2><p></p><div class="live-actions"><button class="plain-button main" value="yes">Close it</button><button class="plain-button" value="">Stay</button></div></form>';
    box.querySelector('p').textContent = (await asked.json()).words;
    document.body.append(box);
    box.addEventListener('close', async () => {
      const yes = box.returnValue === 'yes', words = box.querySelector('p').textContent;
      box.remove();
      if (!yes) return;
      await fetch('/lab/quit', {method: 'POST'});
      shut(`${words} Start it again and this page continues.`);
    });
    box.showModal();
  }

  document.addEventListener('click', (event) => { if (event.target.closest?.('[data-quit]')) quit(); });
  return {heard, lost, quit};
})();
