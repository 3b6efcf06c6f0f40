// --- overview
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
