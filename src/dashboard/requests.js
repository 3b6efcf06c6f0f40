// --- requests
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
    part.style.flex = `0 0 ${100 * ms / longest}%`;
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
/** So that one slow request doesn't flatten the others: the longest of all but the slowest tenth. Above it a bar is cut. */
function longestShown(list) {
  const ms = list.map((r) => r.ms).sort((a, b) => a - b);
  return Math.max(1e-6, Math.min(ms.at(-1) ?? 0, 1.3 * (ms[Math.ceil(ms.length * 0.9) - 1] ?? 0)));
}
function requestRow(r, longest, open) {
  const failed = r.status >= 400 || (r.completion && !r.completion.completed), facts = [r.key && 'key ' + r.key, r.tenant && 'tenant ' + r.tenant, r.id];
  return el('li', {}, el('details', { id: 'r-' + r.id, open: open.has('r-' + r.id) },
    el('summary', {}, el('span', { textContent: clock(r.time) }),
      el('span', {}, `${r.method} ${r.route}${r.completion ? ' · ' + r.completion.model : ''}`, r.error ? el('small', { className: 'bad', textContent: ' ' + r.error }) : null, flow(r, longest)),
      el('span', { className: failed ? 'bad' : '', textContent: failed ? (r.status >= 400 ? r.status : 'not completed') : r.completion?.cache?.status ?? r.status }),
      el('span', { className: 'num', textContent: (r.ms > longest ? '» ' : '') + time(r.ms) })),
    el('div', {}, el('p', { className: 'note', textContent: facts.filter(Boolean).join(' · ') }), r.error ? el('p', { className: 'bad', textContent: r.error }) : null,
      r.completion?.cache?.why ? el('p', {}, 'Why it missed: ', ...whyMissed(r.completion.cache.why)) : null,
      stages(r), tree(r, 'all that was recorded', !r.completion?.engine))));
}
async function drawRequests() {
  try {
    const list = await items('requests', requestPage, $('req-q').value, $('req-only').value);
    const longest = longestShown(list.items);
    const open = new Set([...document.querySelectorAll('#request-list details[open]')].map((d) => d.id));
    fill($('request-list'), ...list.items.map((r) => requestRow(r, longest, open)));
    if (!list.items.length) fill($('request-list'), el('li', { className: 'note', textContent: 'No request matches.' }));
    $('req-page').textContent = `page ${requestPage + 1} of ${Math.max(1, Math.ceil(list.total / list.page_size))}, ${number(list.total)} requests`;
    $('req-prev').disabled = requestPage === 0;
    $('req-next').disabled = (requestPage + 1) * list.page_size >= list.total;
  } catch (error) { fill($('request-list'), el('li', { className: 'bad', textContent: error.message })); }
}
$('req-search').addEventListener('submit', (event) => { event.preventDefault(); requestPage = 0; drawRequests(); });
$('req-only').addEventListener('change', () => { requestPage = 0; drawRequests(); });
$('req-prev').addEventListener('click', () => { --requestPage; drawRequests(); });
$('req-next').addEventListener('click', () => { ++requestPage; drawRequests(); });
