// --- trajectories
const text = (value) => (typeof value === 'string' ? value : JSON.stringify(value));
const line = (value, most = 140) => { const flat = text(value).replace(/\s+/g, ' '); return flat.length > most ? flat.slice(0, most) + '…' : flat; };
const seconds = (s) => time(s * 1000);
async function drawTrajectories() {
  try {
    const list = await items('trajectories', 0);
    fill($('trajectory-list'), ...list.items.map(trajectoryBox));
    if (!list.items.length) fill($('trajectory-list'), el('p', { className: 'note', textContent: 'None among the last requests. Ask the model "rlm" with "permutation": {"trace": true}.' }));
  } catch (error) { fill($('trajectory-list'), el('p', { className: 'bad', textContent: error.message })); }
}
function trajectoryBox(request) {
  const engine = request.completion.engine, what = engine.context_strategy, spent = engine.performance;
  const facts = [];
  if (what) facts.push(`program: ${what.program}${what.why ? ` (${what.why})` : ''}`, what.kind, what.chunks_total ? `${number(what.chunks_read)} of ${number(what.chunks_total)} pieces read` : null);
  if (spent) facts.push(spent.context_tokens ? `context of ${number(spent.context_tokens)} tokens` : null, `${number(spent.context_tokens_processed)} tokens read`, `calls: ${number(spent.total_calls)}${spent.calls_failed ? `, ${number(spent.calls_failed)} failed` : ''}`, dollars(spent.cost_estimate));
  return el('div', { className: 'model' }, el('b', { textContent: `${request.completion.model} · ${clock(request.time)} · ${time(request.ms)}` }),
    question(request), el('p', { className: 'note', textContent: facts.filter(Boolean).join(' · ') }),
    timeline(engine, request.ms / 1000),
    engine.trace?.iterations ? runTree(engine.trace, true) : engine.reasoning_trace ? fixedTree(engine.reasoning_trace) : stages(request),
    engine.final_answer === undefined ? null : el('p', { className: 'answer' }, el('b', { textContent: 'Answer ' }), text(engine.final_answer)),
    tree(engine, 'all that was recorded', false));
}
/** What was asked, where texts are kept; a run's own first message says it too. */
function question(request) {
  const prompts = request.completion.engine.trace?.iterations?.[0]?.prompt ?? [];
  const asked = request.completion.prompt || prompts.filter((m) => m.role === 'user').map((m) => m.content).find((content) => !/^Turn \d+ of \d+\.$/.test(content));
  return asked ? el('p', { className: 'question' }, el('b', { textContent: 'Question ' }), line(asked.replace(/^The question: ([\s\S]*)\n\n`context` is [\s\S]*$/, '$1'), 600)) : null;
}
/** Every model call of a run and of the runs inside it, [{label, depth, begin, length}]; seconds since the request began. */
function callsOf(run, depth = 0) {
  return (run.iterations ?? []).flatMap((turn, i) => {
    const made = (turn.code_blocks ?? []).flatMap(({ result }) => result.rlm_calls ?? []);
    const inside = made.flatMap((c) => (c.metadata ? callsOf(c.metadata, depth + 1) : [{ label: `asked ${c.root_model}`, depth: depth + 1, begin: c.start_time, length: c.execution_time, failed: !!c.error }]));
    return [{ label: `turn ${turn.iteration ?? i + 1}${depth ? `, depth ${depth}` : ''}`, depth, begin: turn.start_time, length: turn.iteration_time }, ...inside];
  });
}
function stepsOf(steps) {
  let from = 0;
  return steps.map((step) => {
    const begin = from;
    from = step.ended_s ?? from;
    return { label: step.step, depth: 0, begin, length: step.ended_s === undefined ? undefined : from - begin };
  });
}
/** When each call began and how long it took, beside one another. */
function timeline(engine, whole) {
  const known = (engine.trace?.iterations?.length ? callsOf(engine.trace) : stepsOf(engine.reasoning_trace ?? [])).filter((c) => c.begin !== undefined && c.length !== undefined);
  if (!known.length) return null;
  const end = Math.max(whole, ...known.map((c) => c.begin + c.length), 1e-6), shown = known.slice(0, 100);
  return el('div', {}, el('p', { className: 'note', textContent: `When: ${counted(known.length, 'step')} in ${seconds(end)}` }), el('ol', { className: 'timeline' }, ...shown.map((c) => {
    const mark = el('i', { className: c.failed ? 'c-failed' : c.depth ? 'c-shared' : 'c-computed' });
    mark.style.left = `min(${100 * c.begin / end}%, 100% - 2px)`;
    mark.style.width = 100 * c.length / end + '%';
    const label = el('span', { textContent: c.label, title: c.label });
    label.style.paddingLeft = Math.min(c.depth, 6) * 0.8 + 'rem';
    return el('li', {}, label, el('span', { textContent: `at ${seconds(c.begin)}, ${seconds(c.length)}` }), el('div', { className: 'line' }, mark));
  })), known.length > shown.length ? el('p', { className: 'note', textContent: `and ${number(known.length - shown.length)} more` }) : null);
}
const branch = (title, open, ...children) => el('details', { className: 'tree', open }, el('summary', {}, ...title), ...children);
const shown = (label, value, className = '') => (value ? el('div', { className: 'shown ' + className }, el('small', { textContent: label }), el('pre', { textContent: text(value), tabIndex: 0 })) : null);
/** A run, its turns, the code of each, what the code printed, and the calls that it made, which may be runs. */
function runTree(run, open) {
  const meta = run.run_metadata ?? {};
  return branch([el('b', { textContent: meta.root_model ?? 'run' }), ` depth ${meta.depth ?? 0}, turns: ${run.iterations.length}, sandbox: ${meta.environment_type ?? '–'}`], open,
    ...run.iterations.map((turn, i) => branch([el('b', { textContent: `Turn ${turn.iteration ?? i + 1}` }), ' ' + line(turn.response ?? '')], open,
      shown('the model wrote', turn.response && !turn.code_blocks?.length ? turn.response : ''),
      ...(turn.code_blocks ?? []).map(({ code, result }) => el('div', { className: 'block' }, shown('code', code, 'code'), shown('it printed', result.stdout), shown('error', result.stderr, 'bad'),
        ...result.rlm_calls.map(callTree), result.final_answer === null ? null : shown('final answer', result.final_answer, 'used'),
        el('p', { className: 'note', textContent: `${seconds(result.execution_time)} of its own, calls: ${number(result.rlm_calls.length)}` }))))));
}
function callTree(made) {
  const used = made.usage_summary?.model_usage_summaries?.[made.root_model];
  const cost = used ? `, ${number(used.total_input_tokens)} + ${number(used.total_output_tokens)} tokens` : '';
  return branch([el('b', { textContent: 'asked ' + made.root_model }), ` ${seconds(made.execution_time)}${cost}: ${line(made.error || made.response)}`], false,
    shown('asked', made.prompt), shown('answered', made.response), shown('error', made.error, 'bad'), made.metadata ? runTree(made.metadata, false) : null);
}
/** The steps of a program that no model wrote. */
function fixedTree(steps) {
  return branch([el('b', { textContent: 'program of the server' }), `, steps: ${number(steps.length)}`], true, ...steps.map(({ step, ...rest }) => {
    const said = rest.answer ?? rest.computed ?? rest.why_not ?? '';
    return branch([el('b', { textContent: step }), said ? ' ' + line(said) : ''], false, ...Object.entries(rest).filter(([, v]) => v !== '' && v !== null).map(([name, value]) => tree(value, name)));
  }));
}
