// --- the semantic tier: what was served in other words, how much of it is wrong, and pairs for people to judge
let pairsPage = 0;
function drawQuality() {
  const semantic = now.cache?.semantic;
  $('semantic').hidden = !semantic;
  if (!semantic) return;
  const { compared, wrong, wrong_low: low, wrong_high: high } = semantic.quality, { same, different } = semantic.judged;
  fill($('semantic-figures'),
    tile(number(semantic.hits), `served of ${number(semantic.lookups)} that asked for it`),
    tile(number(compared), `of the pairs that could be served compared or judged; ${number(semantic.explored)} were computed to learn`),
    tile(compared ? percent(wrong / compared) : '–', compared ? `wrong (${number(wrong)} of ${number(compared)}); with 95 % certainty from ${percent(low)} to ${percent(high)}` : 'wrong: nothing was compared yet', compared ? intervalBar(low, wrong / compared, high) : null),
    tile(number(same + different), `judged by people: ${number(same)} the same, ${number(different)} different`));
  $('semantic-line').textContent = `${number(semantic.entries)} questions are known. Judge pairs as they come, not those that look wrong: else the share is that of your choice.`;
}
/** From 0 to 1: where the share may lie, and where it was found. */
function intervalBar(low, at, high) {
  const span = svg('rect', { x: 90 * low, y: 6, width: Math.max(1, 90 * (high - low)), height: 8, rx: 2, class: 'span' });
  return svg('svg', { viewBox: '0 0 90 20', preserveAspectRatio: 'none', role: 'img', 'aria-label': `${percent(at)}, from ${percent(low)} to ${percent(high)}` },
    svg('rect', { x: 0, y: 9, width: 90, height: 2, class: 'ground' }), span, svg('rect', { x: Math.min(89, 90 * at), y: 3, width: 1, height: 14, class: 'at' }));
}
async function drawPairs() {
  if (!now?.cache?.semantic) return;
  try {
    const answer = await call(`/v1/cache/pairs?page=${pairsPage}&only=${$('pairs-only').value}`);
    if (!answer.ok) throw new Error(await message(answer));
    const list = await answer.json();
    fill($('pair-list'), ...list.items.map(pairCard));
    if (!list.items.length) fill($('pair-list'), el('li', { className: 'note', textContent: 'None. A request asks for other wordings with "semantic": {"error_max": 0.05}.' }));
    $('pairs-page').textContent = `page ${pairsPage + 1} of ${Math.max(1, Math.ceil(list.total / list.page_size))}, ${number(list.total)} pairs`;
    $('pairs-prev').disabled = pairsPage === 0;
    $('pairs-next').disabled = (pairsPage + 1) * list.page_size >= list.total;
  } catch (error) { fill($('pair-list'), el('li', { className: 'bad', textContent: error.message })); }
}
const outcomes = { served: 'the cached answer was given', agreed: 'computed: the same, by comparison', disagreed: 'computed: another, by comparison' };
function pairCard(pair) {
  const text = (label, value) => el('div', { className: 'shown' }, el('small', { textContent: label }), el('p', { textContent: value }));
  const judge = (label, verdict, className = '') => {
    const button = el('button', { type: 'button', textContent: label, className, ariaPressed: String(pair.verdict === verdict) });
    button.addEventListener('click', () => judgePair(pair, pair.verdict === verdict ? null : verdict));
    return button;
  };
  const facts = [clock(pair.time), pair.model, pair.tenant && 'tenant ' + pair.tenant, `similarity ${pair.similarity.toFixed(3)}`, `chance ${percent(pair.chance)}`, outcomes[pair.outcome]];
  return el('li', {}, el('div', {}, el('div', { className: 'pair' }, text('asked', pair.question), text('cached', pair.nearest || '(its question is not kept)'), text('the cached answer', pair.answer), pair.computed === null ? null : text('the answer computed', pair.computed)),
    el('p', { className: 'note', textContent: facts.filter(Boolean).join(' · ') })),
  el('div', { className: 'row' }, el('span', { className: 'note', textContent: 'Would the answer be right for both?' }), judge('Same', 'same'), judge('Different', 'different', 'danger')));
}
/** Says it, and how to take it back. */
async function judgePair(pair, verdict) {
  const say = (word) => call('/v1/cache/pairs/' + pair.id, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ verdict: word }) });
  const answer = await say(verdict);
  if (!answer.ok) { fill($('pairs-said'), el('span', { className: 'bad', textContent: await message(answer) })); return; }
  const undo = el('button', { type: 'button', textContent: 'Undo' });
  undo.addEventListener('click', async () => {
    const back = await say(pair.verdict);
    fill($('pairs-said'), back.ok ? 'Taken back.' : el('span', { className: 'bad', textContent: await message(back) }));
    drawPairs();
  });
  const done = { same: 'Judged the same.', different: 'Judged different: this entry answers that question no more.' };
  fill($('pairs-said'), (done[verdict] ?? 'No verdict now.') + ' ', undo);
  drawPairs();
}
$('pairs-only').addEventListener('change', () => { pairsPage = 0; drawPairs(); });
$('pairs-prev').addEventListener('click', () => { --pairsPage; drawPairs(); });
$('pairs-next').addEventListener('click', () => { ++pairsPage; drawPairs(); });
