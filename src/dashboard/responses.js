// --- the response cache
let cachePage = 0, requestPage = 0;
async function items(kind, page, query = '', only = '') {
  const answer = await call(`/v1/dashboard/items?kind=${kind}&page=${page}&q=${encodeURIComponent(query)}${kind === 'cache' ? '&fold=true' : ''}${only ? '&only=' + only : ''}`);
  if (!answer.ok) throw new Error(await message(answer));
  return answer.json();
}
async function drawEntries() {
  try {
    const list = await items('cache', cachePage, $('cache-q').value);
    fill($('cache-list'), ...list.items.map(entryCard));
    if (!list.items.length) fill($('cache-list'), el('li', { className: 'note', textContent: list.total ? 'No more entries.' : 'No entry matches.' }));
    const folded = list.total > list.lines ? ` with ${number(list.lines)} answers` : '';
    $('cache-page').textContent = `page ${cachePage + 1} of ${Math.max(1, Math.ceil(list.lines / list.page_size))}, ${number(list.total)} entries${folded}`;
    $('cache-prev').disabled = cachePage === 0;
    $('cache-next').disabled = (cachePage + 1) * list.page_size >= list.lines;
  } catch (error) { fill($('cache-list'), el('li', { className: 'bad', textContent: error.message })); }
}
/** Takes an entry out by `remove`, and says how to put it back as it was. */
async function takeOut(entry, remove, done) {
  const lines = await call('/v1/cache/export?prefix=' + entry.key), line = lines.ok ? await lines.text() : '';
  const answer = await remove();
  if (!answer.ok) { fill($('cache-undo'), el('span', { className: 'bad', textContent: await message(answer) })); return; }
  const undo = el('button', { type: 'button', textContent: 'Undo' });
  undo.addEventListener('click', async () => {
    const back = await call('/v1/cache/import', { method: 'POST', body: line });
    fill($('cache-undo'), back.ok ? 'It is back.' : el('span', { className: 'bad', textContent: await message(back) }));
    drawEntries();
  });
  fill($('cache-undo'), done + ' ', line ? undo : null);
  drawEntries();
}
/** An entry, and folded under it those that hold the same answer. */
function entryCard(entry) {
  const item = el('li', {}, ...entryParts(entry, true)), more = entry.entries - 1;
  if (!more) return item;
  const left = more - entry.twins.length;
  item.append(el('details', { className: 'twins' }, el('summary', { textContent: `The same answer in ${more === 1 ? 'one other entry' : number(more) + ' other entries'}, ${counted(entry.answer.hits, 'hit')} in all` }),
    el('ul', { className: 'cards' }, ...entry.twins.map((twin) => el('li', {}, ...entryParts(twin, false)))), left ? el('p', { className: 'note', textContent: `and ${number(left)} more` }) : null));
  return item;
}
function entryParts(entry, withAnswer) {
  const act = (label, run, className = '') => {
    const button = el('button', { type: 'button', textContent: label, className });
    button.addEventListener('click', run);
    return button;
  };
  const path = '/v1/cache/entries/' + entry.key;
  const used = entry.hits === null ? 'only on disk' : entry.hits ? `${counted(entry.hits, 'hit')}${entry.usd_saved ? ' saved ' + dollars(entry.usd_saved) : ''}` : 'no hits yet';
  const facts = [entry.model || 'a value', used, `${number(entry.tokens)} tokens`, entry.usd ? dollars(entry.usd) : null, `${age(entry.age_s)} old`, bytes(entry.bytes)];
  if (entry.tenant) facts.push('tenant ' + entry.tenant);
  if (entry.namespace) facts.push('namespace ' + entry.namespace);
  if (entry.tags.length) facts.push('tags ' + entry.tags.join(', '));
  return [el('div', {}, entry.question ? el('p', { className: 'question', textContent: entry.question }) : null, withAnswer ? el('p', { textContent: entry.preview }) : null,
    el('p', { className: 'note' }, facts.filter(Boolean).join(' · '), ' · ', el('code', { textContent: entry.key.slice(0, 16) }))),
  el('div', { className: 'row' }, act('Purge', () => takeOut(entry, () => call(path, { method: 'DELETE' }), 'Purged.')),
    act('Flag as a false hit', () => takeOut(entry, () => call(path + '/false_hit', { method: 'POST' }), 'Flagged and purged; the complaint stays counted.'), 'danger'))];
}
const keyParts = ['model', 'system prompt', 'earlier messages', 'temperature and other sampling', 'seed', 'length, stop and n', 'tools', 'response format', 'kv, knowledge, versions or other fields'];
/** A miss's reason as nodes: the parts of the request in which it differs from the nearest one each by itself. */
function whyMissed(why) {
  const head = /^the nearest request that was cached differs in: /.exec(why ?? '');
  if (!head) return [why || '–'];
  const out = ['Differs from the nearest request in '];
  let rest = why.slice(head[0].length);
  for (let part; (part = keyParts.find((name) => rest.startsWith(name)));) {
    const more = /^ \((.*?)\)(?=,|;|$)/.exec(rest.slice(part.length));
    out.push(el('span', { className: 'differs' }, el('b', { textContent: part }), more ? ` ${more[1]}` : null));
    rest = rest.slice(part.length + (more ? more[0].length : 0)).replace(/^, /, '');
  }
  return [...out, rest.replace(/^; /, ' · ')];
}
function drawCache() {
  const cache = now.cache;
  $('cache-line').textContent = cache ? `${number(cache.hits.exact)} exact hits, ${number(cache.hits.semantic)} by other wordings, ${number(cache.hits.stale)} stale, ${number(cache.misses)} misses, of which ${number(cache.hits.coalesced)} shared another's computation; ${number(cache.evictions)} evicted from memory. Engines' own calls: ${number(cache.engine_calls.lookups)} lookups, ${number(cache.engine_calls.lookups - cache.engine_calls.misses)} hits.` : 'This server runs without a response cache.';
  const rows = now.requests.filter((r) => r.completion?.cache);
  fill($('why').tBodies[0], ...rows.map((r) => el('tr', {}, el('td', { textContent: clock(r.time) }), el('td', { textContent: r.completion.model }),
    el('td', { className: /hit|coalesced|stale/.test(r.completion.cache.status) ? 'used' : 'idle', textContent: r.completion.cache.status }),
    el('td', {}, ...whyMissed(r.completion.cache.why)))));
  drawQuality();
}
$('cache-search').addEventListener('submit', (event) => { event.preventDefault(); cachePage = 0; drawEntries(); });
$('cache-prev').addEventListener('click', () => { --cachePage; drawEntries(); });
$('cache-next').addEventListener('click', () => { ++cachePage; drawEntries(); });
$('cache-purge').addEventListener('click', async () => {
  if (!confirm('Purge every cached response?')) return;
  await call('/v1/cache', { method: 'DELETE' });
  cachePage = 0;
  drawEntries();
});
