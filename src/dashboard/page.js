'use strict';
// Draws what the server says and computes nothing that it doesn't: rates are differences of its counters.
const $ = (id) => document.getElementById(id);
const el = (tag, props = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
};
const fill = (node, ...children) => node.replaceChildren(...children.filter((child) => child !== null && child !== undefined));
const number = (n) => n === null || n === undefined ? '–' : n.toLocaleString('en', { maximumFractionDigits: n < 10 ? 2 : n < 100 ? 1 : 0 });
const bytes = (n) => { let i = 0; while (n >= 1024 && i < 4) { n /= 1024; ++i; } return number(n) + ' ' + ['B', 'KiB', 'MiB', 'GiB', 'TiB'][i]; };
const dollars = (n) => '$' + n.toLocaleString('en', { maximumSignificantDigits: 3 });
const percent = (share) => number(share * 100) + ' %';
const time = (ms) => ms === null || ms === undefined ? '–' : ms < 1000 ? number(ms) + ' ms' : number(ms / 1000) + ' s';
const age = (s) => s < 120 ? number(Math.floor(s)) + ' s' : s < 7200 ? number(Math.floor(s / 60)) + ' min' : s < 172800 ? number(Math.floor(s / 3600)) + ' h' : number(Math.floor(s / 86400)) + ' d';
const clock = (unix) => new Date(unix * 1000).toLocaleTimeString('en-GB');

// --- the server ---------------------------------------------------------------------------------------------
let key = sessionStorage.getItem('permutation-key') || '';
const headers = (more = {}) => (key ? { authorization: 'Bearer ' + key, ...more } : more);
async function call(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: headers(options.headers) });
  if (answer.status === 401 || answer.status === 403) askForKey(await message(answer));
  return answer;
}
async function message(answer) {
  try { return (await answer.json()).error.message; } catch { return 'The server answered ' + answer.status; }
}
function askForKey(why) {
  $('login').hidden = false;
  $('login-error').textContent = key ? why : '';
}
$('login').addEventListener('submit', (event) => {
  event.preventDefault();
  key = $('login-key').value;
  sessionStorage.setItem('permutation-key', key);
  $('login').hidden = true;
  listen();
});

async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ''; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split('\n\n');
    rest = parts.pop();
    for (const part of parts) yield part.split('\n').filter((l) => l.startsWith('data: ')).map((l) => l.slice(6)).join('\n');
  }
}

let now = null, before = null;
const speeds = [];
let listening = 0;
async function listen() {
  const mine = ++listening;
  for (let wait = 500; mine === listening; wait = Math.min(wait * 2, 8000)) {
    try {
      const answer = await call('/v1/dashboard/events');
      if (answer.status === 401 || answer.status === 403) return link('lost', 'a key is needed');
      if (!answer.ok) throw new Error(await message(answer));
      for await (const data of events(answer)) {
        if (mine !== listening) return;
        before = now;
        now = JSON.parse(data);
        wait = 500;
        link('live', 'live · ' + now.version);
        remember();
        if (before) draw(); else show();
      }
    } catch (error) { link('lost', 'no connection: ' + error.message); }
    if (mine === listening) link('lost', 'no connection, trying again');
    await new Promise((go) => setTimeout(go, wait));
  }
}
function link(state, text) {
  if ($('link').dataset.state !== state || $('link').textContent !== text) { $('link').dataset.state = state; $('link').textContent = text; }
}
const total = (snapshot, field) => snapshot.kv.reduce((sum, model) => sum + model.engine[field], 0);
function remember() {
  const seconds = before ? (now.t_ms - before.t_ms) / 1000 : 0;
  if (seconds <= 0) return;
  speeds.push((total(now, 'completion_tokens') - total(before, 'completion_tokens')) / seconds);
  if (speeds.length > 90) speeds.shift();
}

// --- overview -----------------------------------------------------------------------------------------------
/** The last 90 readings; with `most`, all of them over the whole width, up to that. */
function spark(values, most) {
  const svg = document.createElementNS('http:' + '//www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 90 20');
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  const top = most ?? Math.max(...values, 1);
  const line = document.createElementNS(svg.namespaceURI, 'polyline');
  line.setAttribute('points', values.map((v, i) => `${most === undefined ? 90 - values.length + i : 90 * i / (values.length - 1)},${19 - 18 * v / top}`).join(' '));
  for (const [name, value] of [['fill', 'none'], ['stroke', 'currentColor'], ['stroke-width', '1'], ['vector-effect', 'non-scaling-stroke']]) line.setAttribute(name, value);
  svg.append(line);
  return svg;
}
function bar(share) {
  const inner = el('i');
  inner.style.width = Math.min(100, share * 100) + '%';
  return el('div', { className: 'bar' }, inner);
}
const tile = (value, label, extra) => el('div', { className: 'tile' }, el('b', { textContent: value }), el('span', { textContent: label }), extra);
function drawOverview() {
  const used = now.kv.reduce((sum, m) => sum + m.bytes, 0), most = now.kv.reduce((sum, m) => sum + m.bytes_max, 0);
  const cache = now.cache, drafted = total(now, 'drafted'), reused = total(now, 'prefix_tokens'), queried = total(now, 'prefix_queried');
  const tiles = [
    tile(number(speeds.at(-1) ?? 0), 'tokens a second now', spark(speeds.length > 1 ? speeds : [0, 0])),
    tile(total(now, 'running') + ' / ' + total(now, 'waiting'), 'requests running / waiting'),
    tile(bytes(used), `of ${bytes(most)} for keys and values`, most ? bar(used / most) : null),
  ];
  if (cache) tiles.push(
    tile(percent(cache.hit_rate), `of ${number(cache.lookups)} lookups hit`, bar(cache.hit_rate)),
    tile(percent(cache.token_hit_rate), "of all answers' tokens came from it", bar(cache.token_hit_rate)),
    tile(number(cache.tokens_saved), 'tokens not computed again'),
    tile(dollars(cache.usd_saved), 'not spent, by the configured prices'),
    tile(number(cache.entries), `responses kept, ${bytes(cache.bytes)}${cache.disk ? `; ${number(cache.ram.entries)} of them in memory` : ''}`));
  if (now.provider?.answers_reported) tiles.push(
    tile(percent(now.provider.token_hit_rate), "of prompt tokens read from providers' caches", bar(now.provider.token_hit_rate)));
  if (now.provider?.usd) tiles.push(tile(dollars(now.provider.usd), 'spent on answers since the start'));
  tiles.push(
    tile(number(reused), `prompt tokens reused, of ${number(queried)} that were looked for`, queried ? bar(reused / queried) : null),
    tile(drafted ? percent(total(now, 'accepted') / drafted) : '–', `of ${number(drafted)} drafted tokens accepted`),
    tile(number(total(now, 'completion_tokens')), 'tokens generated'));
  fill($('tiles'), ...tiles);
  const rows = [['First token', 'ttft_ms'], ['Each further token', 'tpot_ms'], ['Waiting in the queue', 'queue_ms']];
  fill($('latency').tBodies[0], ...rows.map(([label, field]) => {
    const q = now.latency[field];
    return el('tr', {}, el('th', { scope: 'row', textContent: label }), ...['p50', 'p95', 'p99'].map((p) => el('td', { textContent: q ? time(q[p]) : '–' })));
  }));
  drawResidency();
  drawSpending();
  $('latency-note').textContent = `Over the last ${now.latency.samples} such requests.`;
}

/** What a model that comes on demand does: how far its load is, or why it failed. */
function stateOf(m) {
  if (m.state === 'loading') return `loading, ${percent(m.progress)}`;
  if (m.failure) return `${m.state}: ${m.failure.message}`;
  return m.pinned ? m.state + ', stays' : m.state;
}
function drawResidency() {
  $('models').hidden = !now.models.length;
  fill($('models-table').tBodies[0], ...now.models.map((m) => el('tr', {}, el('th', { scope: 'row', textContent: m.id }),
    ...[stateOf(m), bytes(m.bytes), `${number(m.running)} / ${number(m.waiting)}`, m.last_used ? clock(m.last_used) : '–'].map((text) => el('td', { textContent: text })))));
}

function drawSpending() {
  const provider = now.provider;
  const shown = provider ? provider.models.filter((row) => row.upstream || row.usd > 0) : [];
  $('spending').hidden = !shown.length && !provider?.budgets.length;
  if ($('spending').hidden) return;
  const row = (head, ...cells) => el('tr', {}, el('th', { scope: 'row', textContent: head }), ...cells.map((text) => el('td', { textContent: text })));
  fill($('spending-table').tBodies[0], ...shown.map((each) => row(each.model, each.tenant || '–', each.key || '–', number(each.answers), dollars(each.usd),
    ...['read', 'written', 'missed'].map((what) => each.answers_reported ? number(each.tokens[what]) : '–'),
    each.answers_reported ? percent(each.token_hit_rate) : '–', dollars(each.usd_saved))));
  $('budget-table').hidden = !provider.budgets.length;
  fill($('budget-table').tBodies[0], ...provider.budgets.map((each) => row(each.key, dollars(each.spent_usd), dollars(each.usd_per_day), number(each.refused))));
}

// --- audit --------------------------------------------------------------------------------------------------
const columns = { permutation: 'PermutationEngine', rlm: 'RecursiveLanguageModel', unified: 'Unified pipeline', completions: 'Completions' };
function drawAudit() {
  const audit = now.audit;
  if (!audit) return;
  $('verdict').textContent = audit.verdict;
  fill($('audit-table').tHead, el('tr', {}, ...['Cache', 'Implemented', ...Object.values(columns), 'Production ready'].map((t) => el('th', { scope: 'col', textContent: t }))));
  const focused = document.activeElement?.dataset?.cell;
  fill($('audit-table').tBodies[0], ...audit.caches.map((row) => el('tr', {},
    el('th', { scope: 'row', textContent: row.name }),
    el('td', { className: row.implemented ? 'used' : 'off', textContent: row.implemented ? 'yes' : row.why }),
    ...Object.keys(columns).map((surface) => auditCell(row, surface)),
    el('td', { className: row.production_ready.value ? 'used' : 'idle', textContent: row.production_ready.value ? 'yes' : 'missing: ' + row.production_ready.missing.join(', ') }))));
  if (focused) document.querySelector(`[data-cell="${CSS.escape(focused)}"]`)?.focus();
}
function auditCell(row, surface) {
  const cell = row.used_in[surface];
  if (!cell || cell.state.startsWith('off')) return el('td', { className: 'off', textContent: cell ? cell.state : '–' });
  const button = el('button', { type: 'button', className: cell.state.startsWith('used') ? 'used' : 'idle', textContent: cell.state.startsWith('used') ? 'used ' + number(cell.count) : cell.state });
  button.dataset.cell = row.name + '/' + surface;
  button.addEventListener('click', () => {
    $('audit-detail').hidden = false;
    fill($('audit-detail'), el('b', { textContent: `${row.name} in ${columns[surface]}` }),
      el('p', {}, 'Counter ', el('code', { textContent: row.counter || '–' }), `: ${number(cell.count)}, last used `, cell.last_used ? clock(cell.last_used) : 'never', '.'),
      el('p', { className: 'note' }, 'In Prometheus: ', el('code', { textContent: `sum(permutation_cache_uses_total{cache="${row.name}",surface="${surface}"})` })));
  });
  return el('td', {}, button);
}

// --- the response cache -------------------------------------------------------------------------------------
let cachePage = 0, requestPage = 0;
async function items(kind, page, query = '') {
  const answer = await call(`/v1/dashboard/items?kind=${kind}&page=${page}&q=${encodeURIComponent(query)}`);
  if (!answer.ok) throw new Error(await message(answer));
  return answer.json();
}
async function drawEntries() {
  try {
    const list = await items('cache', cachePage, $('cache-q').value);
    fill($('cache-list'), ...list.items.map(entryCard));
    if (!list.items.length) fill($('cache-list'), el('li', { className: 'note', textContent: list.total ? 'No more entries.' : 'No entry matches.' }));
    $('cache-page').textContent = `page ${cachePage + 1} of ${Math.max(1, Math.ceil(list.total / list.page_size))}, ${number(list.total)} entries`;
    $('cache-prev').disabled = cachePage === 0;
    $('cache-next').disabled = (cachePage + 1) * list.page_size >= list.total;
  } catch (error) { fill($('cache-list'), el('li', { className: 'bad', textContent: error.message })); }
}
function entryCard(entry) {
  const act = (label, run, className = '') => {
    const button = el('button', { type: 'button', textContent: label, className });
    button.addEventListener('click', async () => { await run(); drawEntries(); });
    return button;
  };
  const path = '/v1/cache/entries/' + entry.key;
  const facts = [entry.model || 'a value', `${number(entry.tokens)} tokens`, `${age(entry.age_s)} old`, bytes(entry.bytes)];
  if (entry.tenant) facts.push('tenant ' + entry.tenant);
  if (entry.namespace) facts.push('namespace ' + entry.namespace);
  if (entry.tags.length) facts.push('tags ' + entry.tags.join(', '));
  return el('li', {}, el('p', { textContent: entry.preview }), el('p', { className: 'note' }, facts.join(' · '), ' · ', el('code', { textContent: entry.key.slice(0, 16) })),
    el('div', { className: 'row' }, act('Purge', () => call(path, { method: 'DELETE' })),
      act('Flag as a false hit', () => call(path + '/false_hit', { method: 'POST' }), 'danger')));
}
function drawCache() {
  const cache = now.cache;
  $('cache-line').textContent = cache ? `${number(cache.hits.exact)} exact hits, ${number(cache.hits.semantic)} by other wordings, ${number(cache.hits.stale)} stale, ${number(cache.misses)} misses, of which ${number(cache.hits.coalesced)} shared another's computation; ${number(cache.evictions)} evicted from memory. Engines' own calls: ${number(cache.engine_calls.lookups)} lookups, ${number(cache.engine_calls.lookups - cache.engine_calls.misses)} hits.` : 'This server runs without a response cache.';
  const rows = now.requests.filter((r) => r.completion?.cache);
  fill($('why').tBodies[0], ...rows.map((r) => el('tr', {}, el('td', { textContent: clock(r.time) }), el('td', { textContent: r.completion.model }),
    el('td', { className: /hit|coalesced|stale/.test(r.completion.cache.status) ? 'used' : 'idle', textContent: r.completion.cache.status }),
    el('td', { textContent: r.completion.cache.why || '–' }))));
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

// --- keys and values ----------------------------------------------------------------------------------------
function heat(title, rows, describe) {
  const table = el('table', { className: 'heat', ariaLabel: title });
  const heads = rows[0].length;
  table.append(el('tr', {}, el('th', { textContent: 'head' }), ...rows.map((_, layer) => el('th', { scope: 'col', textContent: layer % 5 ? '' : layer }))));
  for (let head = 0; head < heads; ++head) {
    table.append(el('tr', {}, el('th', { scope: 'row', textContent: head }), ...rows.map((layer, i) => {
      const share = Math.max(0, Math.min(1, layer[head]));
      const cell = el('td', { title: describe(i, head) });
      cell.style.background = `rgba(var(--heat), ${0.06 + 0.94 * share})`;
      return cell;
    })));
  }
  // No caption: that would be as wide as the table, past the edge of a phone.
  return el('div', {}, el('p', { className: 'note', textContent: title }), el('div', { className: 'scroll' }, table));
}
const calibration = (c) => c.state === 'failed' ? 'Its calibration failed (the log says why): compressed prompts are scored without.'
  : `Being calibrated between requests, ${number(Math.round(c.progress * 100))}% done${c.state === 'waiting' ? ', waiting for pages' : c.seconds_left === null ? '' : `, ${number(c.seconds_left)} s of computing left`}. Until then compressed prompts are scored without.`;
function drawKv() {
  fill($('kv-models'), ...now.kv.map((m) => {
    const box = el('div', { className: 'model' }, el('b', { textContent: m.model }),
      el('p', { className: 'note', textContent: `${bytes(m.bytes)} of ${bytes(m.bytes_max)} in use, ${bytes(m.bytes_prefixes)} of that kept for ${number(m.prefixes)} prefixes; ${number(m.sequences)} sequences hold ${number(m.tokens_kept)} of ${number(m.tokens)} tokens.` }),
      bar(m.bytes_max ? m.bytes / m.bytes_max : 0));
    const made = m.calibration;
    if (made && made.state !== 'ready' && made.state !== 'none') box.append(
      el('p', { className: 'note', textContent: calibration(made) }), bar(made.progress));
    const most = Math.max(1, ...m.bytes_by_layer_head.flat());
    if (m.sequences && m.bytes_by_layer_head.length) box.append(heat('Bytes by layer (across) and KV head (down), of what runs now', m.bytes_by_layer_head.map((l) => l.map((b) => b / most)),
      (layer, head) => `layer ${layer}, head ${head}: ${bytes(m.bytes_by_layer_head[layer][head])}`));
    const last = m.last_compressed;
    if (last) box.append(
      el('p', { textContent: `Last compressed prompt: ${number(last.tokens)} tokens, ${number(last.tokens_kept)} kept a head on average, ${number(last.tokens - last.tokens_kept)} evicted, ${number(last.ratio)}x smaller than f16.` }),
      heat('Tokens kept by layer (across) and KV head (down): full colour is all of them', last.kept_by_layer_head.map((l) => l.map((k) => k / last.tokens)),
        (layer, head) => `layer ${layer}, head ${head}: ${last.kept_by_layer_head[layer][head]} of ${last.tokens} tokens kept`));
    if (!m.sequences && !last) box.append(el('p', { className: 'note', textContent: 'Nothing runs now, and nothing was compressed yet.' }));
    return box;
  }));
}

// --- requests -----------------------------------------------------------------------------------------------
function tree(value, name = '', open = true) {
  if (value === null || typeof value !== 'object') {
    const text = String(value);
    return el('div', {}, name ? el('b', { textContent: name + ' ' }) : null, text.includes('\n') ? el('pre', { textContent: text }) : el('span', { textContent: text }));
  }
  const entries = Object.entries(value);
  const node = el('details', { className: 'tree', open: open && entries.length < 12 }, el('summary', { textContent: name || `${entries.length} parts` }));
  for (const [k, v] of entries) node.append(tree(v, Array.isArray(value) ? '' + (+k + 1) : k));
  return node;
}
function flow(request, longest) {
  const timing = request.completion?.timing, line = el('div', { className: 'flow' });
  const parts = timing ? [['queue', timing.queue_ms], ['prefill', timing.prefill_ms], ['decode', timing.decode_ms]] : [];
  const known = parts.reduce((sum, [, ms]) => sum + ms, 0);
  for (const [name, ms] of [...parts, ['rest', Math.max(0, request.ms - known)]]) {
    const part = el('i', { className: 'w-' + name, title: `${name}: ${time(ms)}` });
    part.style.width = 100 * ms / longest + '%';
    line.append(part);
  }
  return line;
}
/** What the engine did, stage by stage. A stage's place in the line is the sum of those before it: they run one by one. */
function stages(request) {
  const steps = request.completion?.engine?.trace?.steps;
  if (!steps) return null;
  const whole = Math.max(1e-6, steps.reduce((sum, step) => sum + step.duration_ms, 0));
  let at = 0;
  return el('ol', { className: 'stages' }, ...steps.map((step) => {
    const mark = el('i', { className: step.status === 'failed' ? 'failed' : '' });
    mark.style.marginLeft = `min(${100 * at / whole}%, 100% - 2px)`;
    mark.style.width = 100 * step.duration_ms / whole + '%';
    at += step.duration_ms;
    const why = step.metadata?.why ?? step.metadata?.error ?? step.output?.status ?? '';
    return el('li', { className: step.status }, el('b', { textContent: step.component }), el('span', { textContent: step.status === 'skipped' ? 'skipped' : time(step.duration_ms), className: 'num' }),
      el('div', { className: 'line' }, mark), el('small', { textContent: [step.description, why].filter(Boolean).join(': ') }));
  }));
}
async function drawRequests() {
  try {
    const list = await items('requests', requestPage);
    const longest = Math.max(1e-6, ...list.items.map((r) => r.ms));
    const open = new Set([...document.querySelectorAll('#request-list details[open]')].map((d) => d.id));
    fill($('request-list'), ...list.items.map((r) => el('li', {}, el('details', { id: 'r-' + r.id, open: open.has('r-' + r.id) },
      el('summary', {}, el('span', { textContent: clock(r.time) }),
        el('span', {}, `${r.method} ${r.route}${r.completion ? ' · ' + r.completion.model : ''}`, flow(r, longest)),
        el('span', { className: r.status >= 400 ? 'bad' : '', textContent: r.completion?.cache?.status ?? r.status }),
        el('span', { className: 'num', textContent: time(r.ms) })),
      el('div', {}, stages(r), tree(r, 'all that was recorded', !r.completion?.engine))))));
    $('req-page').textContent = `page ${requestPage + 1}, ${number(list.total)} requests kept`;
    $('req-prev').disabled = requestPage === 0;
    $('req-next').disabled = (requestPage + 1) * list.page_size >= list.total;
  } catch (error) { fill($('request-list'), el('li', { className: 'bad', textContent: error.message })); }
}
$('req-prev').addEventListener('click', () => { --requestPage; drawRequests(); });
$('req-next').addEventListener('click', () => { ++requestPage; drawRequests(); });

// --- chat ---------------------------------------------------------------------------------------------------
let running = null;
async function drawModels() {
  const answer = await call('/v1/models');
  if (!answer.ok) return;
  const names = (await answer.json()).data.map((m) => m.id);
  if (names.join() === [...$('chat-model').options].map((o) => o.value).join()) return;
  fill($('chat-model'), ...names.map((name) => el('option', { textContent: name, value: name })));
  if (names.includes('permutation')) $('chat-model').value = 'permutation';
}
$('chat-stop').addEventListener('click', () => running?.abort());
$('chat-text').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) $('chat-form').requestSubmit();
});
$('chat-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const text = $('chat-text').value.trim(), ratio = $('chat-ratio').value;
  if (!text || running) return;
  const mine = el('article', { className: 'mine', textContent: text }), theirs = el('article', { textContent: '' }), note = el('p', { className: 'note' });
  $('chat-log').prepend(mine, theirs, note);
  running = new AbortController();
  $('chat-stop').hidden = false;
  const permutation = { cache: { mode: $('chat-cache').checked ? 'on' : 'off' }, trace: true };
  if (ratio) permutation.kv = { ratio: +ratio };
  try {
    const answer = await call('/v1/chat/completions', { method: 'POST', signal: running.signal, headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: $('chat-model').value, temperature: 0, max_tokens: 200, stream: true, permutation, messages: [{ role: 'user', content: text }] }) });
    if (!answer.ok) throw new Error(await message(answer));
    for await (const data of events(answer)) {
      if (data === '[DONE]') break;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new Error(chunk.error.message);
      theirs.textContent += chunk.choices?.[0]?.delta?.content ?? '';
      if (chunk.permutation) note.textContent = describe(chunk.permutation);
    }
  } catch (error) { note.className = 'note bad'; note.textContent = error.name === 'AbortError' ? 'stopped' : error.message; }
  running = null;
  $('chat-stop').hidden = true;
});
function describe(p) {
  const parts = [];
  if (p.cache) parts.push(`cache: ${p.cache.status}${p.cache.why ? ' (' + p.cache.why + ')' : ''}`);
  if (p.kv) parts.push(`keys and values: ${p.kv.mode}, ${number(p.kv.ratio_achieved)}x, ${number(p.kv.prefix_tokens_reused)} tokens reused`);
  if (p.timing) parts.push(`queue ${time(p.timing.queue_ms)}, prompt ${time(p.timing.prefill_ms)}, answer ${time(p.timing.decode_ms)}`);
  return parts.join(' · ');
}

// --- views --------------------------------------------------------------------------------------------------
const views = { overview: {}, audit: {}, cache: { open: drawEntries }, kv: {}, knowledge: { open: drawKnowledge }, trajectories: { open: drawTrajectories }, requests: { open: drawRequests }, chat: { open: drawModels } };
const draws = { overview: drawOverview, audit: drawAudit, cache: drawCache, kv: drawKv };
const view = () => (location.hash.slice(1) in views ? location.hash.slice(1) : 'overview');
function draw() { if (now) draws[view()]?.(); }
function show() {
  for (const section of document.querySelectorAll('section')) section.classList.toggle('open', section.id === view());
  for (const a of document.querySelectorAll('nav a')) {
    if (a.hash === '#' + view()) { a.setAttribute('aria-current', 'page'); a.scrollIntoView({ block: 'nearest', inline: 'nearest' }); } else a.removeAttribute('aria-current');
  }
  window.scrollTo(0, 0);
  draw();
  if (now) views[view()].open?.();
}
window.addEventListener('hashchange', show);
const themed = localStorage.getItem('permutation-theme');
if (themed) document.documentElement.dataset.theme = themed;
$('theme').addEventListener('click', () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
  localStorage.setItem('permutation-theme', root.dataset.theme);
});
document.querySelector('.skip').addEventListener('click', (event) => { event.preventDefault(); $('main').focus(); });
show();
listen().catch((error) => link('lost', error.message));
setInterval(() => {
  if (!now) return;
  if (view() === 'requests' && requestPage === 0) drawRequests();
  if (view() === 'knowledge' && !document.querySelector('#knowledge-list details[open]')) drawKnowledge();
}, 2000);
