// --- Markdown, as far as models write it: into nodes, never into HTML, so that a text can't be anything but text
const inlineForms = [
  [/^`+/, (text, mark) => { const end = text.indexOf(mark, mark.length); return end < 0 ? null : [end + mark.length, el('code', { textContent: text.slice(mark.length, end) })]; }],
  [/^(\*\*|__)(?=\S)/, (text, mark) => wrapped(text, mark, 'strong')],
  [/^~~(?=\S)/, (text, mark) => wrapped(text, mark, 'del')],
  [/^[*_](?=\S)/, (text, mark) => wrapped(text, mark, 'em')],
  [/^!?\[/, (text, mark) => linked(text, mark.length)],
];
function wrapped(text, mark, tag) {
  const end = text.indexOf(mark, mark.length + 1);
  if (end < 0 || /\s/.test(text[end - 1]) || (mark[0] === '_' && /\w/.test(text[end + mark.length] ?? ''))) return null;
  return [end + mark.length, el(tag, {}, ...inline(text.slice(mark.length, end)))];
}
/** A link where its address is one of the web or a mailbox; else its text. A picture is a link to it: nothing is fetched. */
function linked(text, from) {
  const found = /^([^\]]{0,1000})\]\(\s*<?([^\s)>]{0,2000})>?(?:\s+"[^"]*")?\s*\)/.exec(text.slice(from));
  if (!found) return null;
  const label = inline(found[1] || found[2]), safe = /^(https?:\/\/|mailto:)/i.test(found[2]);
  return [from + found[0].length, el(safe ? 'a' : 'span', safe ? { href: found[2], target: '_blank', rel: 'noopener noreferrer' } : {}, ...label)];
}
/** Nodes of one run of text. */
function inline(text) {
  const out = [];
  let plain = '', before = ' ';
  const flush = () => { if (plain) out.push(plain); plain = ''; };
  while (text) {
    const escaped = /^\\([\\`*_{}[\]()#+\-.!~|>])/.exec(text);
    let made = null;
    if (!escaped) {
      for (const [form, make] of inlineForms) {
        const found = form.exec(text);
        if (found && !(found[0][0] === '_' && /\w/.test(before)) && (made = make(text, found[0]))) break;
      }
    }
    if (made) { flush(); out.push(made[1]); }
    const taken = made ? made[0] : escaped ? 2 : 1;
    if (!made) plain += escaped ? escaped[1] : text[0] === '\n' ? ' ' : text[0];
    before = text[taken - 1];
    text = text.slice(taken);
  }
  flush();
  return out;
}
function copyButton(label, textOf) {
  const button = el('button', { type: 'button', className: 'copy', textContent: label });
  button.addEventListener('click', async () => {
    button.textContent = (await copied(textOf())) ? 'Copied' : 'Not allowed here';
    setTimeout(() => { button.textContent = label; }, 1500);
  });
  return button;
}
async function copied(text) {
  try { await navigator.clipboard.writeText(text); return true; } catch { /* an address without https has no clipboard */ }
  const area = el('textarea', { value: text, className: 'away' });
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  return done;
}
function codeBlock(language, code) {
  return el('div', { className: 'codeblock' }, el('div', { className: 'row' }, el('small', { textContent: language || 'code' }), copyButton('Copy code', () => code)), el('pre', { tabIndex: 0 }, el('code', { textContent: code })));
}

const blockStart = /^(\s{0,3}(#{1,6}\s|>|[-*+]\s|\d{1,9}[.)]\s|```|~~~|\|)|\s{0,3}([-*_])(\s*\3){2,}\s*$)/;
/** Nodes of a whole text; one that isn't complete yet is drawn as far as it goes. */
function markdown(text, depth = 0) {
  if (depth > 12) return [el('p', { textContent: text })];
  const lines = text.replace(/\r\n?/g, '\n').split('\n'), out = [];
  while (lines.length) {
    const line = lines[0], fence = /^\s{0,3}(```+|~~~+)\s*([\w+#.-]*)/.exec(line);
    if (!line.trim()) lines.shift();
    else if (fence) out.push(fenced(lines, fence));
    else if (/^\s{0,3}#{1,6}\s/.test(line)) { const [, marks, rest] = /^\s*(#+)\s+(.*?)\s*#*$/.exec(lines.shift()) ?? [null, '#', line]; out.push(el('h' + Math.min(6, marks.length + 2), {}, ...inline(rest))); }
    else if (/^\s{0,3}([-*_])(\s*\1){2,}\s*$/.test(line)) { lines.shift(); out.push(el('hr')); }
    else if (/^\s{0,3}>/.test(line)) out.push(el('blockquote', {}, ...markdown(taken(lines, (l) => /^\s{0,3}>/.test(l)).map((l) => l.replace(/^\s{0,3}> ?/, '')).join('\n'), depth + 1)));
    else if (/^\s{0,3}([-*+]|\d{1,9}[.)])\s/.test(line)) out.push(listOf(lines, depth));
    else if (/^\s{0,3}\|/.test(line) && /^\s{0,3}\|?[\s:|-]+\|[\s:|-]*$/.test(lines[1] ?? '')) out.push(tableOf(taken(lines, (l) => l.includes('|'))));
    else { const first = lines.shift(); out.push(el('p', {}, ...inline([first, ...taken(lines, (l) => l.trim() && !blockStart.test(l))].join('\n').trim()))); }
  }
  return out;
}
function taken(lines, belongs) {
  const out = [];
  while (lines.length && belongs(lines[0])) out.push(lines.shift());
  return out;
}
function fenced(lines, [, marks, language]) {
  lines.shift();
  const code = taken(lines, (l) => !l.trimStart().startsWith(marks));
  lines.shift();
  return codeBlock(language, code.join('\n'));
}
/** Its items with what is indented below them, which may be lists. */
function listOf(lines, depth) {
  const item = /^(\s*)([-*+]|\d{1,9}[.)])\s+/, [, indent, mark] = item.exec(lines[0]), ordered = /\d/.test(mark);
  const list = el(ordered ? 'ol' : 'ul', ordered ? { start: parseInt(mark, 10) } : {});
  while (lines.length) {
    const found = item.exec(lines[0]);
    if (!found || found[1].length < indent.length || found[1].length > indent.length + 3 || /\d/.test(found[2]) !== ordered) break;
    const first = lines.shift().slice(found[0].length);
    const below = taken(lines, (l) => (l.trim() ? /^\s*/.exec(l)[0].length > found[1].length : false));
    const deep = Math.min(...below.map((l) => /^\s*/.exec(l)[0].length));
    list.append(el('li', {}, ...inline(first), ...markdown(below.map((l) => l.slice(deep)).join('\n'), depth + 1)));
    if (lines.length > 1 && !lines[0].trim() && item.test(lines[1])) lines.shift();
  }
  return list;
}
function tableOf(rows) {
  const cells = (row) => row.trim().replace(/^\||\|$/g, '').split(/(?<!\\)\|/).map((c) => c.trim());
  return el('div', { className: 'scroll' }, el('table', {}, el('thead', {}, el('tr', {}, ...cells(rows[0]).map((c) => el('th', { scope: 'col' }, ...inline(c))))),
    el('tbody', {}, ...rows.slice(2).map((row) => el('tr', {}, ...cells(row).map((c) => el('td', {}, ...inline(c))))))));
}
