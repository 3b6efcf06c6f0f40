// --- audit
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
