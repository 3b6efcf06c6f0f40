// --- files for the chat: their texts stay in this page's memory, only their names are kept
const fileTexts = new Map();  // by a file's id
const fileBytesMax = 8 << 20;
let attached = [];  // {id, name, bytes, use}: go with the next message
const fileUses = { context: 'read with the question', rlm: 'searched by the model rlm', facts: 'taught to a domain' };

/** The facts of a file of JSON lines; null where it is none. */
function factsIn(text) {
  try {
    const facts = text.split('\n').filter((l) => l.trim()).map((l) => JSON.parse(l));
    return facts.length && facts.every((f) => f && (typeof f.text === 'string' || (typeof f.prompt === 'string' && typeof f.answer === 'string'))) ? facts : null;
  } catch { return null; }
}
async function attach(list) {
  const refused = [];
  for (const file of list) {
    try {
      if (file.size > fileBytesMax) throw new Error(`is larger than ${bytes(fileBytesMax)}`);
      const text = new TextDecoder('utf-8', { fatal: true }).decode(await file.arrayBuffer());
      if (!text.trim()) throw new Error('is empty');
      const id = `${Date.now()}-${fileTexts.size}`;
      fileTexts.set(id, text);
      attached.push({ id, name: file.name, bytes: file.size, use: factsIn(text) ? 'facts' : 'context' });
    } catch (error) { refused.push(`${file.name} ${error instanceof TypeError ? "isn't text in UTF-8" : error.message}.`); }
  }
  if (attached.some((f) => f.use === 'context') && !$('chat-ratio').value) $('chat-ratio').value = '8';
  fill($('files-said'), refused.length ? el('span', { className: 'bad', textContent: refused.join(' ') }) : '');
  drawFiles();
}
function drawFiles() {
  fill($('chat-files'), ...attached.map((file) => {
    const use = el('select', { ariaLabel: 'What for: ' + file.name }, ...Object.entries(fileUses).filter(([name]) => name !== 'facts' || factsIn(fileTexts.get(file.id))).map(([name, label]) => el('option', { value: name, textContent: label, selected: name === file.use })));
    use.addEventListener('change', () => { file.use = use.value; drawFiles(); });
    const drop = el('button', { type: 'button', textContent: 'Remove', ariaLabel: 'Remove ' + file.name });
    drop.addEventListener('click', () => { attached = attached.filter((f) => f !== file); drawFiles(); });
    return el('div', { className: 'row' }, el('b', { textContent: file.name }), el('span', { className: 'note', textContent: bytes(file.bytes) }), use, ...(file.use === 'facts' ? teachParts(file) : file.use === 'context' ? [ratioPart()] : []), drop);
  }));
}
/** The chat's KV ratio, beside the file that it is for. */
function ratioPart() {
  const ratio = $('chat-ratio').cloneNode(true);
  ratio.removeAttribute('id');
  ratio.value = $('chat-ratio').value;
  ratio.addEventListener('change', () => { $('chat-ratio').value = ratio.value; });
  return el('label', {}, 'KV ratio ', ratio);
}
function teachParts(file) {
  const domain = el('input', { type: 'text', value: file.name.replace(/\.[^.]*$/, '').replace(/[^A-Za-z0-9_.-]+/g, '-'), ariaLabel: 'Domain', pattern: '[A-Za-z0-9_.\\-]+' });
  const teach = el('button', { type: 'button', textContent: 'Teach' });
  teach.addEventListener('click', async () => {
    teach.disabled = true;
    try {
      const report = await teachFacts(domain.value.trim(), factsIn(fileTexts.get(file.id)), () => fill($('files-said'), `learning ${file.name} …`));
      const domains = new Set($('chat-domains').value.split(',').map((d) => d.trim()).filter(Boolean)).add(domain.value.trim());
      $('chat-domains').value = [...domains].join(', ');
      attached = attached.filter((f) => f !== file);
      fill($('files-said'), `${learntLine(report)} This chat asks the domain ${domain.value.trim()}.`);
      drawFiles();
    } catch (error) { fill($('files-said'), el('span', { className: 'bad', textContent: error.message })); }
    teach.disabled = false;
  });
  return [domain, teach];
}
/** The files of the next message: those to be taught wait for their button. */
function takeFiles() {
  const taken = attached.filter((f) => f.use !== 'facts');
  attached = attached.filter((f) => f.use === 'facts');
  drawFiles();
  return taken;
}
/** A message's text as it is sent: with what its files hold, where the page still has it. */
function withFiles(message, use) {
  const files = (message.files ?? []).filter((f) => f.use === use && fileTexts.has(f.id));
  return files.map((f) => `File ${f.name}:\n${fileTexts.get(f.id)}\n\n`).join('');
}
const chatView = $('chat');
for (const kind of ['dragenter', 'dragover']) chatView.addEventListener(kind, (event) => {
  if (![...event.dataTransfer.types].includes('Files')) return;
  event.preventDefault();
  chatView.classList.add('over');
});
chatView.addEventListener('dragleave', (event) => { if (!chatView.contains(event.relatedTarget)) chatView.classList.remove('over'); });
chatView.addEventListener('drop', (event) => {
  event.preventDefault();
  chatView.classList.remove('over');
  attach(event.dataTransfer.files);
});
$('chat-add').addEventListener('click', () => $('chat-file').click());
$('chat-file').addEventListener('change', () => { attach([...$('chat-file').files]); $('chat-file').value = ''; });
