// --- views, and the start: the last part
const views = { overview: {}, audit: {}, cache: { open: () => { drawEntries(); drawPairs(); } }, kv: {}, knowledge: { open: drawKnowledge }, trajectories: { open: drawTrajectories }, requests: { open: drawRequests }, chat: { open: openChat } };
const draws = { overview: drawOverview, audit: drawAudit, cache: drawCache, kv: drawKv };
const view = () => (location.hash.slice(1) in views ? location.hash.slice(1) : 'overview');
function draw() { if (now) draws[view()]?.(); }
function show() {
  for (const section of document.querySelectorAll('section')) section.classList.toggle('open', section.id === view());
  for (const a of document.querySelectorAll('nav a')) {
    if (a.hash === '#' + view()) { a.setAttribute('aria-current', 'page'); a.scrollIntoView({ block: 'nearest', inline: 'nearest' }); } else a.removeAttribute('aria-current');
  }
  window.scrollTo(0, 0);
  draw();
  if (now || view() === 'chat') views[view()].open?.();
}
window.addEventListener('hashchange', show);
const themed = localStorage.getItem('permutation-theme');
if (themed) document.documentElement.dataset.theme = themed;
$('theme').addEventListener('click', () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
  localStorage.setItem('permutation-theme', root.dataset.theme);
});
document.querySelector('.skip').addEventListener('click', (event) => { event.preventDefault(); $('main').focus(); });
makeRanges();
makeCharts();
show();
listen().catch((error) => link('lost', error.message));
setInterval(() => {
  if ($('link').dataset.state === 'live' && heard && Date.now() - heard > 5000) lose();  // a connection that died without a word
  if (!now) return;
  if (view() === 'requests' && requestPage === 0) drawRequests();
  if (view() === 'knowledge' && !document.querySelector('#knowledge-list details[open]')) drawKnowledge();
}, 2000);
