// --- chat
let running = null;
async function drawModels() {
  const answer = await call('/v1/models');
  if (!answer.ok) return;
  const names = (await answer.json()).data.map((m) => m.id);
  if (names.join() === [...$('chat-model').options].map((o) => o.value).join()) return;
  fill($('chat-model'), ...names.map((name) => el('option', { textContent: name, value: name })));
  if (names.includes('permutation')) $('chat-model').value = 'permutation';
}
$('chat-stop').addEventListener('click', () => running?.abort());
$('chat-text').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) $('chat-form').requestSubmit();
});
$('chat-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const text = $('chat-text').value.trim(), ratio = $('chat-ratio').value;
  if (!text || running) return;
  const mine = el('article', { className: 'mine', textContent: text }), theirs = el('article', { textContent: '' }), note = el('p', { className: 'note' });
  $('chat-log').prepend(mine, theirs, note);
  running = new AbortController();
  $('chat-stop').hidden = false;
  const permutation = { cache: { mode: $('chat-cache').checked ? 'on' : 'off' }, trace: true };
  if (ratio) permutation.kv = { ratio: +ratio };
  try {
    const answer = await call('/v1/chat/completions', { method: 'POST', signal: running.signal, headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: $('chat-model').value, temperature: 0, max_tokens: 200, stream: true, permutation, messages: [{ role: 'user', content: text }] }) });
    if (!answer.ok) throw new Error(await message(answer));
    for await (const data of events(answer)) {
      if (data === '[DONE]') break;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new Error(chunk.error.message);
      theirs.textContent += chunk.choices?.[0]?.delta?.content ?? '';
      if (chunk.permutation) note.textContent = describe(chunk.permutation);
    }
  } catch (error) { note.className = 'note bad'; note.textContent = error.name === 'AbortError' ? 'stopped' : error.message; }
  running = null;
  $('chat-stop').hidden = true;
});
function describe(p) {
  const parts = [];
  if (p.cache) parts.push(`cache: ${p.cache.status}${p.cache.why ? ' (' + p.cache.why + ')' : ''}`);
  if (p.kv) parts.push(`keys and values: ${p.kv.mode}, ${number(p.kv.ratio_achieved)}x, ${number(p.kv.prefix_tokens_reused)} tokens reused`);
  if (p.timing) parts.push(`queue ${time(p.timing.queue_ms)}, prompt ${time(p.timing.prefill_ms)}, answer ${time(p.timing.decode_ms)}`);
  return parts.join(' · ');
}
