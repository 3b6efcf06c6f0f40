// --- chat: conversations that this browser keeps
const kept = 'permutation-chats', conversationsMax = 50;
const settings = { model: '', cache: true, tools: false, system: '', temperature: '0', length: '400', ratio: '', error: '', domains: '' };
let conversations = readConversations(), current = null, running = null;

function readConversations() {
  try {
    const read = JSON.parse(localStorage.getItem(kept) ?? '[]');
    if (!Array.isArray(read)) return [];
    const whole = read.filter((c) => c && Array.isArray(c.messages) && typeof c.id === 'string');
    for (const c of whole) c.messages = c.messages.filter((m) => m.role === 'user' || m.content || m.failed);  // not what a closed page was waiting for
    return whole;
  } catch { return []; }
}
/** The oldest go where there are too many, or no room for all. */
function keepConversations() {
  conversations = conversations.filter((c) => c.messages.length || c === current).slice(0, conversationsMax);
  for (; ;) {
    try { return localStorage.setItem(kept, JSON.stringify(conversations)); } catch { if (conversations.length < 2) return undefined; }
    conversations.pop();
  }
}
function newConversation() {
  current = { id: String(Date.now()), title: '', settings: { ...settings, ...readSettings() }, messages: [] };
  conversations.unshift(current);
}
function readSettings() {
  const read = {};
  for (const [name, value] of Object.entries(settings)) read[name] = typeof value === 'boolean' ? $('chat-' + name).checked : $('chat-' + name).value;
  return read;
}
function showSettings() {
  for (const [name, value] of Object.entries({ ...settings, ...current.settings })) {
    if (typeof settings[name] === 'boolean') $('chat-' + name).checked = value;
    else if (name !== 'model' || [...$('chat-model').options].some((o) => o.value === value)) $('chat-' + name).value = value;
  }
}
async function openChat() {
  const answer = await call('/v1/models');
  if (!answer.ok) return;
  const embedders = /embed|minilm/i, names = (await answer.json()).data.filter((m) => !embedders.test(m.description ?? '') || m.id === 'permutation').map((m) => m.id);
  if (names.join() !== [...$('chat-model').options].map((o) => o.value).join()) {
    fill($('chat-model'), ...names.map((name) => el('option', { textContent: name, value: name })));
    if (names.includes('permutation')) $('chat-model').value = 'permutation';
  }
  if (current) return;
  current = conversations[0] ?? null;
  if (current) showSettings(); else newConversation();
  drawChat();
}
function drawChat() {
  fill($('chat-which'), ...conversations.map((c) => el('option', { value: c.id, textContent: c.title || 'New chat', selected: c === current })));
  fill($('chat-log'), ...current.messages.map(messageBox));
  $('chat-empty').hidden = current.messages.length > 0;
  $('chat-delete').disabled = !current.messages.length;
}
function messageBox(said) {
  if (said.role === 'user') return el('article', { className: 'mine' }, ...(said.files ?? []).map((f) => el('p', { className: 'note', textContent: `${f.name}, ${bytes(f.bytes)}, ${fileUses[f.use]}${fileTexts.has(f.id) ? '' : '; its text is gone with the page'}` })), said.content);
  const body = el('div', { className: 'said-text' }, ...markdown(said.content));
  const did = (said.rounds ?? []).flatMap((round) => round.calls).map((c) => el('p', { className: 'did' }, el('code', { textContent: `${c.name}(${c.arguments})` }), ' → ' + c.result));
  return el('article', { className: 'theirs' }, body, ...did,
    el('div', { className: 'row foot' }, said.content ? copyButton('Copy', () => said.content) : null, el('p', { className: said.failed ? 'note bad' : 'note', textContent: said.note ?? '' })));
}
function bodyOf(conversation) {
  const s = conversation.settings, permutation = { cache: { mode: s.cache ? 'on' : 'off' }, trace: true };
  if (s.error && s.cache) permutation.cache.semantic = { error_max: +s.error };
  if (s.ratio) permutation.kv = { ratio: +s.ratio };
  const domains = s.domains.split(',').map((d) => d.trim()).filter(Boolean);
  if (domains.length) permutation.knowledge = domains;
  const messages = conversation.messages.filter((m) => (m.content || m.rounds?.length) && !m.failed).flatMap(sentMessages);
  if (s.system.trim()) messages.unshift({ role: 'system', content: s.system.trim() });
  const searched = conversation.messages.map((m) => withFiles(m, 'rlm')).join('');
  if (searched) permutation.rlm = { context: searched };
  const body = { model: searched ? 'rlm' : s.model, temperature: +s.temperature || 0, max_tokens: Math.max(1, +s.length || 400), stream: true, permutation, messages };
  if (s.tools && !searched) body.tools = Object.values(chatTools).map((tool) => tool.is);
  return body;
}
/** A message as the API has it: an answer with the tools that it called, each with what it said, before its text. */
function sentMessages(m) {
  if (m.role === 'user') return [{ role: 'user', content: withFiles(m, 'context') + m.content }];
  const rounds = (m.rounds ?? []).flatMap((round) => [
    { role: 'assistant', content: round.content, tool_calls: round.calls.map((c) => ({ id: c.id, type: 'function', function: { name: c.name, arguments: c.arguments } })) },
    ...round.calls.map((c) => ({ role: 'tool', tool_call_id: c.id, content: c.result }))]);
  return m.content ? [...rounds, { role: 'assistant', content: m.content }] : rounds;
}
async function send(text) {
  const conversation = current;
  conversation.settings = readSettings();
  conversation.title ||= text.slice(0, 60);
  const files = takeFiles();
  conversation.messages.push({ role: 'user', content: text, ...(files.length ? { files } : {}) });
  const said = { role: 'assistant', content: '', note: 'reading the prompt …' };
  conversation.messages.push(said);
  keepConversations();
  drawChat();
  running = new AbortController();
  $('chat-stop').hidden = false;
  try { await answerInto(said, conversation); } catch (error) {
    const stopped = error.name === 'AbortError';
    said.note = stopped ? 'stopped' : error.message;
    said.failed = !stopped && !said.content;
  }
  running = null;
  $('chat-stop').hidden = true;
  $('chat-said').textContent = said.failed ? 'The answer failed.' : 'The answer is complete.';
  keepConversations();
  redraw(said, conversation);
}
/** One answer: as long as the model calls tools, they are run and it is asked again. */
async function answerInto(said, conversation) {
  const roundsMax = 5;
  for (let round = 0; round <= roundsMax; ++round) {
    const request = bodyOf(conversation);
    if (round === roundsMax) delete request.tools;
    const calls = await streamInto(said, request, conversation);
    if (!calls.length) return;
    for (const c of calls) c.result = runTool(c.name, c.arguments);
    (said.rounds ??= []).push({ content: said.content, calls });
    said.content = '';
    said.note = 'reading what the tools said …';
    redraw(said, conversation);
  }
}
/** Streams one answer into `said`. Returns the tools that it calls: {id, name, arguments}. */
async function streamInto(said, request, conversation) {
  const answer = await call('/v1/chat/completions', { method: 'POST', signal: running.signal, headers: { 'content-type': 'application/json' }, body: JSON.stringify(request) });
  if (!answer.ok) throw new Error(await message(answer));
  let due = false;
  const calls = [];
  const doing = (what) => { if (!said.content) { said.note = what; redraw(said, conversation); } };
  for await (const data of events(answer, doing)) {
    if (data === '[DONE]') break;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Error(chunk.error.message);
    said.content += chunk.choices?.[0]?.delta?.content ?? '';
    for (const piece of chunk.choices?.[0]?.delta?.tool_calls ?? []) {
      const c = (calls[piece.index] ??= { id: '', name: '', arguments: '' });
      c.id ||= piece.id ?? '';
      c.name += piece.function?.name ?? '';
      c.arguments += piece.function?.arguments ?? '';
    }
    if (said.content) said.note = 'writing …';
    if (chunk.permutation) said.report = describe(chunk.permutation);
    if (!due) { due = true; requestAnimationFrame(() => { due = false; redraw(said, conversation); }); }
  }
  said.note = said.report ?? '';
  delete said.report;
  return calls.filter(Boolean);
}
/** The last message of the conversation that is shown, and nothing else of it. */
function redraw(said, conversation) {
  if (conversation !== current || conversation.messages.at(-1) !== said) return;
  const below = window.innerHeight + window.scrollY > document.body.scrollHeight - 120;
  $('chat-log').lastElementChild.replaceWith(messageBox(said));
  if (below) window.scrollTo(0, document.body.scrollHeight);
}
/** What each cache did for an answer. */
function describe(p) {
  const parts = [];
  if (p.cache) parts.push(`cache: ${p.cache.status}${p.cache.why ? ' (' + p.cache.why + ')' : ''}${p.cache.tokens_saved ? `, ${whole(p.cache.tokens_saved)} tokens saved` : ''}`);
  if (p.knowledge?.slots_read) parts.push(`knowledge: ${counted(p.knowledge.slots_read, 'fact')} of ${p.knowledge.domains.join(', ')}`);
  if (p.kv) parts.push(`keys and values: ${p.kv.mode}, ${number(p.kv.ratio_achieved)}x, ${number(p.kv.prefix_tokens_reused)} tokens reused`);
  if (p.timing) parts.push(`queue ${time(p.timing.queue_ms)}, prompt ${time(p.timing.prefill_ms)}, answer ${time(p.timing.decode_ms)}`);
  return parts.join(' · ');
}
$('chat-stop').addEventListener('click', () => running?.abort());
$('chat-text').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $('chat-form').requestSubmit();
});
$('chat-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = $('chat-text').value.trim();
  if (!text || running || !current) return;
  $('chat-text').value = '';
  send(text);
});
$('chat-new').addEventListener('click', () => {
  if (current?.messages.length) newConversation();
  drawChat();
  $('chat-text').focus();
});
$('chat-which').addEventListener('change', () => {
  current = conversations.find((c) => c.id === $('chat-which').value) ?? current;
  showSettings();
  drawChat();
});
$('chat-delete').addEventListener('click', () => {
  if (!confirm('Delete this conversation from this browser?')) return;
  running?.abort();
  conversations = conversations.filter((c) => c !== current);
  current = conversations[0] ?? null;
  if (current) showSettings(); else newConversation();
  keepConversations();
  drawChat();
});
