// --- keys and values
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
    if (m.engine && m.engine.prefix_disk_hits) box.append(el('p', { className: 'note', textContent: `${number(m.engine.prefix_disk_tokens)} tokens for ${number(m.engine.prefix_disk_hits)} requests came from the disk.` }));
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
