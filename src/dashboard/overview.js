// --- overview: what was saved in a piece of time, its curves, and the server's figures as they are now
const kinds = [
  { key: 'exact', label: 'from memory, exact', tone: 'c-exact' },
  { key: 'semantic', label: 'from memory, other wording', tone: 'c-semantic' },
  { key: 'shared', label: "shared another's computation", tone: 'c-shared' },
  { key: 'computed', label: 'computed here', tone: 'c-computed' },
  { key: 'upstream', label: 'computed upstream', tone: 'c-upstream' },
  { key: 'failed', label: 'failed', tone: 'c-failed' }];
const ranges = { '1h': 'hour', '24h': '24 hours', '7d': '7 days', '30d': '30 days' };
const whole = (n) => Math.round(n).toLocaleString('en');
const counted = (n, one) => `${whole(n)} ${one}${Math.round(n) === 1 ? '' : 's'}`;
const duration = (s) => (s < 1 ? `${whole(s * 1000)} ms` : s < 120 ? counted(s, 'second') : s < 7200 ? counted(s / 60, 'minute') : s < 172800 ? counted(s / 3600, 'hour') : counted(s / 86400, 'day'));
const charts = {};
let past = null, range = localStorage.getItem('permutation-range') in ranges ? localStorage.getItem('permutation-range') : '24h', asked = 0;

function makeCharts() {
  const make = (name, options) => { charts[name] = new Chart(options); return charts[name].node; };
  const count = (n) => number(n), money = (n) => dollars(n);
  fill($('charts'),
    make('requests', { title: 'Requests, by what answered them', series: kinds, format: count, stacked: true, sum: true }),
    make('ttft', { title: 'Time to the first token, of what models computed', series: [{ key: 'p50', label: 'p50', tone: 'c-computed' }, { key: 'p95', label: 'p95', tone: 'c-failed' }], format: time }),
    make('tokens', { title: 'Tokens a second, written by models', series: [{ key: 'tokens_per_s', label: 'tokens a second', tone: 'c-computed' }], format: count, stacked: true }),
    make('queue', { title: 'Requests of local models at once', series: [{ key: 'running', label: 'running', tone: 'c-computed' }, { key: 'waiting', label: 'waiting', tone: 'c-failed' }], format: count, stacked: true }),
    make('kv', { title: 'Memory of keys and values', series: [{ key: 'kv_bytes', label: 'in use', tone: 'c-exact' }], format: bytes, stacked: true, binary: true }),
    make('usd', { title: 'Dollars, by the configured prices', series: [{ key: 'usd_spent', label: 'spent', tone: 'c-upstream' }, { key: 'usd_saved', label: 'saved', tone: 'c-exact' }], format: money, stacked: true }));
}
function makeRanges() {
  fill($('ranges'), ...Object.entries(ranges).map(([name, label]) => {
    const button = el('button', { type: 'button', textContent: label, ariaPressed: String(name === range) });
    button.addEventListener('click', () => {
      range = name;
      localStorage.setItem('permutation-range', name);
      for (const each of $('ranges').children) each.ariaPressed = String(each === button);
      drawHistory();
    });
    return button;
  }));
}
/** Asks for the history and draws it. */
async function drawHistory() {
  asked = Date.now();
  const mine = range;
  try {
    const answer = await call('/v1/history?range=' + mine);
    if (!answer.ok || mine !== range) return;
    past = await answer.json();
  } catch { return; }  // the line at the top says that the server is away
  const { begin, step_s: step, steps } = past;
  $('said').textContent = sentence(past.total);
  drawFigures();
  charts.requests.update(begin, step, steps.requests);
  charts.ttft.update(begin, step, steps.ttft_ms);
  for (const name of ['queue', 'kv', 'usd']) charts[name].update(begin, step, steps);
  charts.tokens.update(begin, step, steps);
}
const all = (requests) => kinds.reduce((sum, { key }) => sum + requests[key], 0);
const remembered = (requests) => requests.exact + requests.semantic + requests.shared;
function sentence(total) {
  const requests = all(total.requests), from = remembered(total.requests);
  if (!requests) return `No requests in the last ${ranges[range]}.`;
  const begin = `Of ${counted(requests, 'request')} in the last ${ranges[range]}, ${whole(from)} ${from === 1 ? 'was' : 'were'} answered from memory`;
  if (!from) return begin + '.';
  const cost = total.usd_saved + total.usd_spent;
  const saved = [counted(total.tokens_saved, 'token'), cost ? `${dollars(total.usd_saved)} of ${dollars(cost)}` : null, duration(total.seconds_saved)].filter(Boolean);
  return `${begin}: that saved ${saved.slice(0, -1).join(', ')} and ${saved.at(-1)}.`;
}
/** How a figure stands to the time before. */
function trend(now, before, show) {
  const last = `the ${ranges[range]} before`;
  if (before === null) return el('span', { className: 'trend', textContent: `nothing is known of ${last}` });
  const more = now - before;
  const text = Math.abs(more) < 1e-9 ? `as in ${last}` : `${more > 0 ? '▲' : '▼'} ${show(Math.abs(more))} ${more > 0 ? 'more' : 'less'} than in ${last}`;
  return el('span', { className: 'trend', textContent: text });
}
function drawFigures() {
  const { total, before, steps } = past;
  const share = (part) => (all(part.requests) ? remembered(part.requests) / all(part.requests) : 0);
  const summed = steps.requests.exact.map((_, i) => (steps.requests.exact[i] === null ? null : remembered(Object.fromEntries(kinds.map(({ key }) => [key, steps.requests[key][i]])))));
  const known = (values) => values.slice(Math.max(0, values.findIndex((v) => v !== null)));
  const figure = (value, label, now, then, show, values) => tile(value, label, trend(now, then, show), spark(known(values), Math.max(...values, 1e-9)));
  const of = (read) => (before ? read(before) : null);
  fill($('figures'),
    figure(percent(share(total)), 'of requests answered from memory', share(total), before && all(before.requests) ? share(before) : null, percent, summed),
    figure(whole(total.tokens_saved), 'tokens saved', total.tokens_saved, of((b) => b.tokens_saved), whole, steps.tokens_saved),
    figure(dollars(total.usd_saved), `saved; ${dollars(total.usd_spent)} spent`, total.usd_saved, of((b) => b.usd_saved), dollars, steps.usd_saved),
    figure(duration(total.seconds_saved), 'of computing saved', total.seconds_saved, of((b) => b.seconds_saved), duration, steps.seconds_saved));
}
/** What callers got since the start: a row for each model, tenant and key. */
function drawCallers() {
  $('callers').hidden = !now.callers.length;
  const rows = now.callers.map((c) => ({ ...c, asked: Object.values(c.answers).reduce((a, b) => a + b, 0) + c.failed, memory: c.answers.hit + c.answers.stale + c.answers.semantic_hit + c.answers.coalesced }));
  rows.sort((a, b) => b.asked - a.asked);
  fill($('callers-table').tBodies[0], ...rows.map((c) => el('tr', {}, el('th', { scope: 'row', textContent: c.model }),
    ...[c.tenant || '–', c.key || '–', whole(c.asked), `${whole(c.memory)} (${percent(c.asked ? c.memory / c.asked : 0)})`, whole(c.failed), whole(c.tokens_saved), dollars(c.usd_saved)].map((text) => el('td', { textContent: text })))));
}

const tile = (value, label, ...extra) => el('div', { className: 'tile' }, el('b', { textContent: value }), el('span', { textContent: label }), ...extra);
function drawOverview() {
  if (Date.now() - asked > (range === '1h' ? 5000 : 15000)) drawHistory();
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
  drawCallers();
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
