// A folder, or several files at once: packed into one zip in the browser, so that they go the way of every zip. Nothing is squeezed: pictures
// are already. One that is larger than a plain zip can be is refused before anything is read.
'use strict';
lab.folder = (() => {
  const MOST_BYTES = 0xfff00000, MOST_FILES = 65000, UTF8 = 0x0800;
  const table = Uint32Array.from({length: 256}, (_, n) => { for (let k = 0; k < 8; k += 1) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1; return n; });

  function crc(bytes) {
    let sum = 0xffffffff;
    for (let at = 0; at < bytes.length; at += 1) sum = table[(sum ^ bytes[at]) & 255] ^ (sum >>> 8);
    return (sum ^ 0xffffffff) >>> 0;
  }

  // Records of the format (PKWARE APPNOTE 6.3): fields of two or four bytes, in order.
  function record(...fields) {
    const made = new DataView(new ArrayBuffer(fields.reduce((sum, [size]) => sum + size, 0)));
    let at = 0;
    for (const [size, value] of fields) { if (size === 2) made.setUint16(at, value, true); else made.setUint32(at, value, true); at += size; }
    return made.buffer;
  }
  const dated = (time) => { const d = new Date(time); return ((Math.max(d.getFullYear(), 1980) - 1980) << 25 | (d.getMonth() + 1) << 21 | d.getDate() << 16 | d.getHours() << 11 | d.getMinutes() << 5) >>> 0; };

  async function packed(files, tell) {
    const parts = [], listing = [];
    let place = 0, listed = 0;
    for (const [number, [path, file]] of files.entries()) {
      const name = new TextEncoder().encode(path), sum = crc(new Uint8Array(await file.arrayBuffer()));
      const common = [[2, 20], [2, UTF8], [2, 0], [4, dated(file.lastModified)], [4, sum], [4, file.size], [4, file.size], [2, name.length], [2, 0]];
      parts.push(record([4, 0x04034b50], ...common), name, file);
      listing.push(record([4, 0x02014b50], [2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, place]), name);
      place += 30 + name.length + file.size;
      listed += 46 + name.length;
      if (number % 50 === 0) tell(`Putting ${number.toLocaleString('en')} of ${files.length.toLocaleString('en')} files together …`);
    }
    const end = record([4, 0x06054b50], [2, 0], [2, 0], [2, files.length], [2, files.length], [4, listed], [4, place], [2, 0]);
    return new Blob([...parts, ...listing, end], {type: 'application/zip'});
  }

  async function inside(entry) {
    if (entry.isFile) return [[entry.fullPath.replace(/^\//, ''), await new Promise((good, bad) => entry.file(good, bad))]];
    const reader = entry.createReader(), found = [];
    for (;;) { // it gives a hundred at a time
      const some = await new Promise((good, bad) => reader.readEntries(good, bad));
      if (!some.length) return found;
      for (const one of some) found.push(...await inside(one));
    }
  }

  function tell(words) {
    const drop = document.getElementById('drop');
    let said = document.getElementById('packing');
    if (!said) { said = document.createElement('p'); said.id = 'packing'; said.className = 'fine'; said.setAttribute('role', 'status'); drop.after(said); }
    said.textContent = words;
  }

  async function take(name, list) {
    try {
      tell('Looking at what is in it …');
      const files = (await list()).filter(([path]) => !path.split('/').some((part) => part.startsWith('.')));
      const bytes = files.reduce((sum, [, file]) => sum + file.size, 0);
      if (!files.length) { tell('There is no file in it. Choose a folder with files.'); return; }
      if (bytes > MOST_BYTES || files.length > MOST_FILES) { tell('It is too large to be dropped (4 GB, 65,000 files). Make a zip of it and drop that, or take a part of it.'); return; }
      const whole = new DataTransfer(), input = document.querySelector('#drop input[type=file]');
      whole.items.add(new File([await packed(files, tell)], `${name}.zip`, {type: 'application/zip'}));
      tell('');
      input.files = whole.files;
      input.dispatchEvent(new Event('change', {bubbles: true}));
    } catch {
      tell('Some of it could not be read. Try again, or make a zip of it and drop that.');
    }
  }

  document.addEventListener('drop', (event) => {
    if (!event.target.closest?.('#drop')) return;
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean), files = [...event.dataTransfer.files];
    const folder = entries.find((entry) => entry.isDirectory);
    if (!folder && files.length < 2) return; // one file is what the page itself takes
    event.preventDefault();
    event.stopImmediatePropagation();
    const list = async () => (entries.length ? (await Promise.all(entries.map(inside))).flat() : files.map((file) => [file.name, file]));
    take(entries.length === 1 ? folder.name : 'pictures', list);
  }, true);
  document.addEventListener('change', (event) => {
    if (!event.target.matches?.('[data-folder]') || !event.target.files.length) return;
    const files = [...event.target.files].map((file) => [file.webkitRelativePath || file.name, file]);
    event.stopImmediatePropagation();
    event.target.value = '';
    take(files[0][0].split('/')[0], async () => files);
  }, true);
  return {take};
})();
