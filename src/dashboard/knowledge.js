// --- knowledge
const share = (part, of) => (of ? percent(part / of) + ` of ${number(of)}` : '–');
const since = (unix) => (unix ? new Date(unix * 1000).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'short' }) : '–');
const named = (one) => one.domain + (one.tenant ? ` (tenant ${one.tenant})` : '');
const ofTenant = (one, path) => path + (one.tenant ? '?tenant=' + encodeURIComponent(one.tenant) : '');
async function ask(path, options) {
  const answer = await call(path, options);
  if (!answer.ok) throw new Error(await message(answer));
  return answer.json();
}
async function drawKnowledge() {
  try {
    const open = new Set([...document.querySelectorAll('#knowledge-list details[open]')].map((d) => d.dataset.path));
    const [{ domains, model }, { jobs }] = await Promise.all([ask('/v1/knowledge'), ask('/v1/knowledge/jobs')]);
    $('knowledge-line').textContent = domains.length ? `${number(domains.reduce((sum, d) => sum + d.facts, 0))} facts in ${number(domains.length)} domains, ${bytes(domains.reduce((sum, d) => sum + d.bytes, 0))}, for ${model}.` : '';
    drawLearning(jobs);
    fill($('knowledge-list'), ...domains.map((domain) => domainBox(domain, open)));
    if (!domains.length) fill($('knowledge-list'), el('p', { className: 'note', textContent: 'Nothing is known now. Teach it below, or a whole file: permutation learn DOMAIN FACTS.jsonl' }));
  } catch (error) {
    $('learning').hidden = true;
    fill($('knowledge-list'), el('p', { className: 'note', textContent: error.message }));
  }
}
/** Each learning since the server started, and what it left of what was known before: as the job measured it. */
function drawLearning(jobs) {
  $('learning').hidden = !jobs.length;
  if (!jobs.length) return;
  const done = jobs.filter((job) => job.report);
  let learnt = 0;
  const total = done.map((job) => (learnt += job.report.learnt));
  const kept = done.map((job) => (job.report.others.asked ? 1 - job.report.others.changed / job.report.others.asked : 1));
  fill($('learning-lines'), curve('facts learnt since the start', total, number(learnt), Math.max(1, learnt)), curve('of what was known before is recalled as before, after each learning', kept, done.length ? percent(kept.at(-1)) : '–', 1));
  fill($('learning-table').tBodies[0], ...jobs.toReversed().map((job) => {
    const r = job.report, cells = r
      ? [clock(r.ended_unix_s), named(job), `${number(r.learnt)} new, ${number(r.updated)} changed`, share(r.recalled, r.learnt + r.updated), share(r.generalised.recalled, r.generalised.asked), share(r.others.asked - r.others.changed, r.others.asked), number(r.seconds) + ' s']
      : ['–', named(job), job.error ? job.error.message : `${job.status}, ${job.done} of ${job.of}`, '–', '–', '–', '–'];
    return el('tr', {}, ...cells.map((text, i) => el('td', { textContent: text, className: i === 2 && job.error ? 'bad' : '' })));
  }));
}
function curve(label, values, now, top) {
  const drawn = [...(top === 1 && values.length ? [1] : [0]), ...values];
  return el('figure', { className: 'tile' }, el('b', { textContent: now }), spark(drawn.length > 1 ? drawn : [0, 0], top), el('span', { textContent: label }));
}
function forgetButton(label, question, path) {
  const button = el('button', { type: 'button', className: 'danger', textContent: label });
  button.addEventListener('click', async () => {
    if (!confirm(question)) return;
    try { await ask(path, { method: 'DELETE' }); } catch (error) { button.after(el('span', { className: 'bad', textContent: error.message })); return; }
    drawKnowledge();
  });
  return button;
}
function domainBox(domain, open) {
  const pathOf = (more = '') => ofTenant(domain, '/v1/knowledge/' + encodeURIComponent(domain.domain) + more), path = pathOf();
  const facts = el('div'), slots = el('details', { open: open.has(path) }, el('summary', { textContent: `Slots: ${number(domain.facts)} facts` }), facts);
  slots.dataset.path = path;
  const load = async () => {
    if (!slots.open || facts.childElementCount) return;
    try { slotTable(facts, (await ask(path)).facts, pathOf); } catch (error) { fill(facts, el('p', { className: 'bad', textContent: error.message })); }
  };
  slots.addEventListener('toggle', load);
  load();
  return el('div', { className: 'model' },
    el('div', { className: 'row' }, el('b', { textContent: named(domain) }), forgetButton('Forget the domain', `Forget all ${domain.facts} facts of ${domain.domain}?`, path)),
    el('p', { className: 'note', textContent: `${number(domain.facts)} facts about ${number(domain.things)} things, ${bytes(domain.bytes)}, learnt last ${since(domain.learnt_unix_s)}, version ${domain.version}` }), slots);
}
function slotTable(place, facts, pathOf) {
  const most = 100, find = el('input', { type: 'search', placeholder: 'find in the facts', ariaLabel: 'Find in the facts' });
  const body = el('tbody'), count = el('span', { className: 'note' });
  const draw = () => {
    const wanted = find.value.toLowerCase();
    const found = facts.filter((f) => [f.id, f.prompt, f.answer, f.subject, ...f.paraphrases].join(' ').toLowerCase().includes(wanted));
    count.textContent = found.length > most ? `the first ${most} of ${number(found.length)}` : `${number(found.length)} found`;
    fill(body, ...found.slice(0, most).map((f) => el('tr', {}, el('td', {}, el('code', { textContent: f.id })), el('td', { className: 'wide' }, el('div', { textContent: f.prompt }), ...f.paraphrases.map((p) => el('div', { className: 'note', textContent: p }))),
      el('td', { className: 'wide', textContent: f.answer }), el('td', { textContent: f.subject || '–' }), el('td', { textContent: since(f.learnt_unix_s) }), el('td', { textContent: number(f.revision) }), el('td', { textContent: bytes(f.bytes) }),
      el('td', {}, forgetButton('Forget', `Forget the fact ${f.id}?`, pathOf('/facts/' + encodeURIComponent(f.id)))))));
  };
  find.addEventListener('input', draw);
  draw();
  fill(place, facts.length > 8 ? el('div', { className: 'row' }, find, count) : null, el('div', { className: 'scroll' }, el('table', {},
    el('thead', {}, el('tr', {}, ...['Id', 'Asked as', 'Answer', 'Thing', 'Learnt', 'Revision', 'Size', ''].map((t) => el('th', { scope: 'col', textContent: t })))), body)));
}
/** Waits until the facts are learnt: the job's report. */
async function teachFacts(domain, facts, begun) {
  let job = await ask('/v1/knowledge/' + encodeURIComponent(domain) + '/facts', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ facts }) });
  for (begun(); job.status !== 'done' && job.status !== 'failed';) {
    await new Promise((go) => setTimeout(go, 300));
    job = await ask('/v1/knowledge/jobs/' + job.id);
  }
  if (job.error) throw new Error(job.error.message);
  return job.report;
}
const learntLine = (report) => `Learnt: ${report.learnt} new, ${report.updated} changed; ${report.recalled} of them recalled when asked.`;
/** One fact, typed here: taught like a file of one line. */
$('teach').addEventListener('submit', async (event) => {
  event.preventDefault();
  const lines = (id) => $(id).value.split('\n').map((l) => l.trim()).filter(Boolean);
  const fact = { prompt: $('teach-prompt').value.trim(), answer: $('teach-answer').value.trim(), paraphrases: lines('teach-paraphrases') };
  const say = (text, bad) => fill($('teach-said'), el('span', { className: bad ? 'bad' : '', textContent: text }));
  try {
    say(learntLine(await teachFacts($('teach-domain').value.trim(), [fact], () => say('learning …'))));
    for (const id of ['teach-prompt', 'teach-answer', 'teach-paraphrases']) $(id).value = '';
  } catch (error) { say(error.message, true); }
  drawKnowledge();
});
