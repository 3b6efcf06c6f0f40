// --- keys and values
const picked = {};  // of each stack and heat map, by its name: the part that was chosen last
/** Draws `node` anew by `draw`; what was open, and in focus, is so again. */
function redrawn(node, draw) {
  const open = new Set([...node.querySelectorAll('details[open]')].map((d) => d.dataset.place));
  const focused = document.activeElement?.dataset?.place;
  draw();
  for (const details of node.querySelectorAll('details')) details.open = open.has(details.dataset.place);
  if (focused) node.querySelector(`[data-place="${CSS.escape(focused)}"]`)?.focus();
}
function placed(node, place) { node.dataset.place = place; return node; }

/** What of a whole is used by what, as one line: `parts` are [{label, tone, value}]. A part tells its figures by mouse, touch or keys. */
function stack(place, title, parts, show) {
  const whole = Math.max(1e-9, parts.reduce((sum, { value }) => sum + value, 0)), shown = parts.filter(({ value }) => value > 0);
  const readout = el('p', { className: 'readout', ariaLive: 'polite' });
  const tell = (i) => {
    picked[place] = i;
    const part = shown[i];
    readout.textContent = part ? `${part.label}: ${show(part.value)}, ${percent(part.value / whole)} of ${show(whole)}` : 'Choose a part for its figures.';
    [...line.children].forEach((each, at) => each.classList.toggle('at', at === i));
  };
  const line = el('div', { className: 'stack', role: 'group', ariaLabel: title }, ...shown.map((part, i) => {
    const button = placed(el('button', { type: 'button', className: part.tone, ariaLabel: `${part.label}: ${show(part.value)}` }), `${place}/${part.label}`);
    button.style.flexGrow = part.value / whole;
    for (const event of ['focus', 'pointerenter', 'click']) button.addEventListener(event, () => tell(i));
    return button;
  }));
  tell(picked[place]);
  return el('div', {}, el('p', { className: 'note', textContent: title }), line, readout,
    el('p', { className: 'legend' }, ...parts.map((part) => el('span', {}, el('i', { className: 'key ' + part.tone }), `${part.label} ${show(part.value)}`))));
}
/** A map of layers and heads. The one that is chosen, by mouse, touch or arrow keys, tells its figure. */
function heat(place, title, rows, describe) {
  const heads = rows[0].length, cells = [], readout = el('p', { className: 'readout', ariaLive: 'polite' });
  const table = placed(el('table', { className: 'heat', tabIndex: 0, ariaLabel: title + ': arrow keys choose' }), place);
  table.append(el('tr', {}, el('th', { textContent: 'head' }), ...rows.map((_, layer) => el('th', { scope: 'col', textContent: layer % 5 ? '' : layer }))));
  for (let head = 0; head < heads; ++head) {
    cells.push(rows.map((layer, i) => {
      const share = Math.max(0, Math.min(1, layer[head]));
      const cell = el('td', { title: describe(i, head) });
      cell.style.background = `rgba(var(--heat), ${0.06 + 0.94 * share})`;
      for (const event of ['pointerenter', 'click']) cell.addEventListener(event, () => choose([i, head]));
      return cell;
    }));
    table.append(el('tr', {}, el('th', { scope: 'row', textContent: head }), ...cells[head]));
  }
  const choose = (at) => {
    picked[place] = at && [Math.max(0, Math.min(rows.length - 1, at[0])), Math.max(0, Math.min(heads - 1, at[1]))];
    table.querySelector('.at')?.classList.remove('at');
    if (picked[place]) cells[picked[place][1]][picked[place][0]].classList.add('at');
    readout.textContent = picked[place] ? describe(...picked[place]) : 'Choose a cell for its figure.';
  };
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  table.addEventListener('focus', () => choose(picked[place] ?? [0, 0]));
  table.addEventListener('keydown', (event) => {
    if (!(event.key in moves)) return;
    event.preventDefault();
    const [layer, head] = picked[place] ?? [0, 0], [right, down] = moves[event.key];
    choose([layer + right, head + down]);
  });
  choose(picked[place]);
  // No caption: that would be as wide as the table, past the edge of a phone.
  return el('div', {}, el('p', { className: 'note', textContent: title }), el('div', { className: 'scroll' }, table), readout);
}
const calibration = (c) => c.state === 'failed' ? 'Its calibration failed (the log says why): compressed prompts are scored without.'
  : `Being calibrated between requests, ${number(Math.round(c.progress * 100))}% done${c.state === 'waiting' ? ', waiting for pages' : c.seconds_left === null ? '' : `, ${number(c.seconds_left)} s of computing left`}. Until then compressed prompts are scored without.`;

/** Where the pool's memory is. Its parts are of one moment, the whole of a later one: none is below zero. */
function poolStack(m) {
  const coded = Math.min(m.bytes, m.bytes_compressed ?? 0), kept = Math.min(m.bytes - coded, m.bytes_prefixes), exact = m.bytes - coded - kept;
  return stack('pool ' + m.model, 'Memory of keys and values', [
    { label: 'exact, of what runs', tone: 'c-computed', value: exact },
    { label: 'compressed', tone: 'c-exact', value: coded },
    { label: 'kept for prompts that begin alike', tone: 'c-shared', value: kept },
    { label: 'free', tone: 'c-free', value: Math.max(0, m.bytes_max - m.bytes) }], bytes);
}
/** What compression was measured to keep on this model: a row a task, a column a ratio. */
function qualityTable(m) {
  const ratios = [...new Set(m.measured.map((r) => r.ratio))].sort((a, b) => a - b), rows = {};
  for (const r of m.measured) (rows[taskOf(r)] ??= {})[r.ratio] = r;
  return placed(el('details', {}, el('summary', { textContent: 'What each ratio was measured to keep' }),
    el('p', { className: 'note', textContent: "Of the exact cache's right answers, the share that stayed right. From 95 % on, in bold, a task counts as safe." }),
    el('div', { className: 'scroll' }, el('table', {}, el('thead', {}, el('tr', {}, el('th', { scope: 'col', textContent: 'Task and mode' }), ...ratios.map((r) => el('th', { scope: 'col', textContent: r + 'x' })))),
      el('tbody', {}, ...Object.entries(rows).map(([name, of]) => el('tr', {}, el('th', { scope: 'row', textContent: name }), ...ratios.map((ratio) => {
        const r = of[ratio];
        return el('td', { className: r?.safe ? 'safe' : '', textContent: r ? percent(r.kept) : '–', title: r ? `of ${r.n} right answers` : 'not measured' });
      }))))))), 'quality ' + m.model);
}
/** The measured quality at the ratio that was asked for when `achieved` came out: the nearest one. */
function measuredAt(m, achieved) {
  const ratios = [...new Set(m.measured.map((r) => r.ratio))].filter((r) => r > 1);
  if (!ratios.length) return 'What such a ratio costs was not measured on this model.';
  const ratio = ratios.reduce((a, b) => (Math.abs(Math.log(b / achieved)) < Math.abs(Math.log(a / achieved)) ? b : a));
  const rows = m.measured.filter((r) => r.ratio === ratio).sort((a, b) => a.kept - b.kept), [least] = rows, safe = rows.filter((r) => r.safe).length;
  return `Measured at ${ratio}x on this model: of the exact cache's right answers ${percent(least.kept)} (${taskOf(least)}) to ${percent(rows.at(-1).kept)} (${taskOf(rows.at(-1))}) stay; ${safe} of ${rows.length} tasks keep 95 %.`;
}
const taskOf = (r) => `${taskNames[r.task] ?? r.task.replaceAll('_', ' ')}, ${r.mode.replace('_', '-')}`;
const taskNames = { needle_1400: 'a number in 1.4K tokens', needle_3200: 'a number in 3.2K tokens', needle_4000: 'a number in 4K tokens', needle_7500: 'a number in 7.5K tokens', longeval: 'topic of a long conversation', xquad: 'a question about a paragraph', many_questions: 'many questions on one text', perplexity: 'perplexity', instructions: 'a rule in a system prompt', not_leaked: 'a secret in a system prompt' };
function drawKv() {
  redrawn($('kv-models'), () => fill($('kv-models'), ...now.kv.map(poolBox)));
}
function poolBox(m) {
  const box = el('div', { className: 'model' }, el('b', { textContent: m.model }),
    el('p', { className: 'note', textContent: `${bytes(m.bytes)} of ${bytes(m.bytes_max)} in use, ${bytes(m.bytes_prefixes)} of that kept for ${number(m.prefixes)} prefixes; ${number(m.sequences)} sequences hold ${number(m.tokens_kept)} of ${number(m.tokens)} tokens.` }),
    poolStack(m));
  const last = m.last_compressed;
  if (m.sequences && m.tokens > m.tokens_kept) box.append(tokenStack('running ' + m.model, 'Tokens of what runs now, a head on average', m.tokens, m.tokens_kept));
  if (m.engine && m.engine.prefix_disk_hits) box.append(el('p', { className: 'note', textContent: `${number(m.engine.prefix_disk_tokens)} tokens for ${number(m.engine.prefix_disk_hits)} requests came from the disk.` }));
  const made = m.calibration;
  if (made && made.state !== 'ready' && made.state !== 'none') box.append(
    el('p', { className: 'note', textContent: calibration(made) }), bar(made.progress));
  const most = Math.max(1, ...m.bytes_by_layer_head.flat());
  if (m.sequences && m.bytes_by_layer_head.length) box.append(heat('bytes ' + m.model, 'Bytes by layer (across) and KV head (down), of what runs now', m.bytes_by_layer_head.map((l) => l.map((b) => b / most)),
    (layer, head) => `layer ${layer}, head ${head}: ${bytes(m.bytes_by_layer_head[layer][head])}`));
  if (last) box.append(
    el('p', { textContent: `Last compressed prompt: ${number(last.tokens)} tokens, ${number(last.tokens_kept)} kept a head on average, ${number(last.tokens - last.tokens_kept)} evicted, ${number(last.ratio)}x smaller than f16.` }),
    el('p', { className: 'note measured', textContent: measuredAt(m, last.ratio) }),
    tokenStack('last ' + m.model, 'Its tokens, a head on average', last.tokens, last.tokens_kept),
    heat('kept ' + m.model, 'Tokens kept by layer (across) and KV head (down): full colour is all of them', last.kept_by_layer_head.map((l) => l.map((k) => k / last.tokens)),
      (layer, head) => `layer ${layer}, head ${head}: ${last.kept_by_layer_head[layer][head]} of ${last.tokens} tokens kept`));
  if (!m.sequences && !last) box.append(el('p', { className: 'note', textContent: 'Nothing runs now, and nothing was compressed yet.' }));
  if (m.measured?.length) box.append(qualityTable(m));
  return box;
}
const tokenStack = (place, title, tokens, kept) => stack(place, title, [
  { label: 'kept', tone: 'c-exact', value: kept }, { label: 'evicted', tone: 'c-failed', value: tokens - kept }], (n) => number(n) + ' tokens');
