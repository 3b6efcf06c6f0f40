// --- the server: its key, its calls, its events
let key = sessionStorage.getItem('permutation-key') || '';
const headers = (more = {}) => (key ? { authorization: 'Bearer ' + key, ...more } : more);
async function call(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: headers(options.headers) });
  return answer;
}
/** Whether the key opens the chat, though not the figures. */
async function mayChat() {
  return key !== '' && (await call('/v1/models')).ok;
}
function chatOnly() {
  document.body.classList.add('chat-only');
  $('login').hidden = true;
  location.hash = '#chat';
  show();
  link('live', 'this key opens the chat');
}
async function message(answer) {
  try { return (await answer.json()).error.message; } catch { return 'The server answered ' + answer.status; }
}
function askForKey(why) {
  $('login').hidden = false;
  $('login-error').textContent = key ? why : '';
}
$('login').addEventListener('submit', (event) => {
  event.preventDefault();
  key = $('login-key').value;
  sessionStorage.setItem('permutation-key', key);
  $('login').hidden = true;
  listen();
});

/** The events of a stream; what it says in comments while it has nothing to say goes to `doing`. */
async function* events(answer, doing = () => {}) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ''; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split('\n\n');
    rest = parts.pop();
    for (const part of parts) {
      if (part.startsWith(': ')) doing(part.slice(2));
      const data = part.split('\n').filter((l) => l.startsWith('data: ')).map((l) => l.slice(6)).join('\n');
      if (data) yield data;
    }
  }
}

let now = null, before = null, heard = null;
const speeds = [];
let listening = 0;
async function listen() {
  const mine = ++listening;
  for (let wait = 500; mine === listening; wait = Math.min(wait * 2, 8000)) {
    try {
      const answer = await call('/v1/dashboard/events');
      if (answer.status === 401 || answer.status === 403) {
        if (await mayChat()) return chatOnly();
        askForKey(await message(answer));
        return link('lost', 'a key is needed');
      }
      if (!answer.ok) throw new Error(await message(answer));
      for await (const data of events(answer)) {
        if (mine !== listening) return;
        before = now;
        now = JSON.parse(data);
        heard = Date.now();
        wait = 500;
        link('live', 'live · ' + now.version);
        remember();
        try { if (before) draw(); else show(); } catch (error) { reportError(error); }
      }
    } catch { /* said below */ }
    if (mine === listening) lose();
    await new Promise((go) => setTimeout(go, wait));
  }
}
function lose() {
  link('lost', heard ? `no connection since ${clock(heard / 1000)}: these are the figures of then` : 'no connection, trying again');
}
function link(state, text) {
  document.body.classList.toggle('lost', state === 'lost' && now !== null);
  if ($('link').dataset.state !== state || $('link').textContent !== text) { $('link').dataset.state = state; $('link').textContent = text; }
}
const total = (snapshot, field) => snapshot.kv.reduce((sum, model) => sum + model.engine[field], 0);
function remember() {
  const seconds = before ? (now.t_ms - before.t_ms) / 1000 : 0;
  if (seconds <= 0) return;
  speeds.push((total(now, 'completion_tokens') - total(before, 'completion_tokens')) / seconds);
  if (speeds.length > 90) speeds.shift();
}
