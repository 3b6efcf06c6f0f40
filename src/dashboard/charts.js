// --- charts: SVG made of nodes, with axes, units and a line of text for the point in focus
const svg = (tag, attributes = {}, ...children) => {
  const node = document.createElementNS('http:' + '//www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};
/** The last 90 readings; with `most`, all of them over the whole width, up to that. */
function spark(values, most) {
  const known = values.filter((v) => v !== null), top = most ?? Math.max(...known, 1e-9);
  const place = (i) => (most === undefined && values.length < 90 ? 90 - values.length + i : 90 * i / Math.max(1, values.length - 1));
  const points = values.map((v, i) => (v === null ? null : `${place(i).toFixed(1)},${(19 - 18 * v / top).toFixed(1)}`)).filter(Boolean);
  return svg('svg', { viewBox: '0 0 90 20', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    svg('polyline', { points: points.join(' '), fill: 'none', stroke: 'currentColor', 'stroke-width': 1, 'vector-effect': 'non-scaling-stroke' }));
}
function bar(share) {
  const inner = el('i');
  inner.style.width = Math.min(100, share * 100) + '%';
  return el('div', { className: 'bar' }, inner);
}

/** 0 and up to five round numbers above it, the last one at least `most`. `binary`: round in KiB, MiB, ... */
function scale(most, binary) {
  const base = binary ? 1024 : 10, raw = Math.max(most, 1e-12) / 4;
  const power = base ** Math.floor(Math.log(raw) / Math.log(base));
  const steps = binary ? [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] : [1, 2, 2.5, 5, 10];
  const step = power * steps.find((s) => s * power >= raw * (1 - 1e-9));
  return Array.from({ length: Math.max(1, Math.ceil(most / step - 1e-9)) + 1 }, (_, i) => i * step);
}
/** Round times of the local clock in a span: [[unix, text]], at most `most`. */
function times(begin, end, most) {
  const minute = 60, hour = 3600, day = 86400;
  const step = [10 * minute, 15 * minute, 30 * minute, hour, 2 * hour, 4 * hour, 6 * hour, 12 * hour, day, 2 * day, 5 * day, 10 * day].find((s) => (end - begin) / s <= most) ?? 10 * day;
  const local = new Date(begin * 1000).getTimezoneOffset() * minute, out = [];
  for (let at = Math.ceil((begin - local) / step) * step + local; at < end; at += step) {
    const date = new Date(at * 1000);
    out.push([at, step < day ? date.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' }) : date.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' })]);
  }
  return out;
}
function spanOf(begin, seconds) {
  const one = new Date(begin * 1000), two = new Date((begin + seconds) * 1000);
  const at = (date) => date.toLocaleTimeString('en-GB', seconds < 60 ? {} : { hour: '2-digit', minute: '2-digit' });
  const day = one.toDateString() === new Date().toDateString() ? '' : one.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' }) + ', ';
  return `${day}${at(one)} to ${at(two)}`;
}

/** A chart that stays and is drawn anew: `series` are [{key, label, tone}], tone a class of style.css. */
class Chart {
  static margins = { left: 58, right: 10, top: 8, bottom: 22 };
  constructor({ title, series, format, stacked = false, binary = false, sum = false }) {
    Object.assign(this, { title, series, format, stacked, binary, sum, at: null, data: null });
    this.plot = svg('svg', { class: 'plot', role: 'img', tabindex: 0, 'aria-label': title });
    this.readout = el('p', { className: 'readout', ariaLive: 'polite' });
    const legend = el('p', { className: 'legend' }, ...series.map((s) => el('span', {}, el('i', { className: 'key ' + s.tone }), s.label)));
    this.node = el('figure', { className: 'chart' }, el('figcaption', { textContent: title }), this.plot, this.readout, series.length > 1 ? legend : null);
    this.plot.addEventListener('pointermove', (event) => this.point(event));
    this.plot.addEventListener('pointerdown', (event) => this.point(event));
    this.plot.addEventListener('pointerleave', (event) => { if (event.pointerType === 'mouse') this.select(null); });
    this.plot.addEventListener('focus', () => { if (this.at === null) this.select(this.last()); });
    this.plot.addEventListener('blur', () => this.select(null));
    this.plot.addEventListener('keydown', (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.node);
  }
  /** `columns`: by key, one number or null a step. */
  update(begin, step, columns) {
    this.data = { begin, step, columns, count: columns[this.series[0].key].length };
    this.draw();
  }
  last() { return this.data ? this.data.count - 1 : null; }
  select(at) {
    this.at = at === null || !this.data ? null : Math.max(0, Math.min(this.last(), at));
    this.draw();
  }
  point(event) {
    if (!this.data) return;
    const box = this.plot.getBoundingClientRect(), m = Chart.margins;
    this.select(Math.floor(this.data.count * (event.clientX - box.left - m.left) / (box.width - m.left - m.right)));
  }
  key(event) {
    const moves = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 };
    if (event.key in moves) this.select((this.at ?? this.last()) + moves[event.key]);
    else if (event.key === 'Home') this.select(0);
    else if (event.key === 'End') this.select(this.last());
    else if (event.key === 'Escape') this.select(null);
    else return;
    event.preventDefault();
  }
  value(key, i) { return this.data.columns[key][i]; }
  most() {
    let most = 0;
    for (let i = 0; i < this.data.count; ++i) {
      const values = this.series.map((s) => this.value(s.key, i) ?? 0);
      most = Math.max(most, this.stacked ? values.reduce((a, b) => a + b, 0) : Math.max(...values));
    }
    return most;
  }
  draw() {
    const width = this.node.clientWidth;
    if (!this.data || width < 80) return;
    const m = Chart.margins, height = 190, ticks = scale(this.most(), this.binary), top = ticks.at(-1);
    const x = (i) => m.left + (width - m.left - m.right) * i / this.data.count, y = (v) => height - m.bottom - (height - m.top - m.bottom) * v / top;
    this.plot.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.plot.setAttribute('height', height);
    const grid = ticks.map((v) => svg('g', {}, svg('line', { class: 'grid', x1: m.left, x2: width - m.right, y1: y(v), y2: y(v) }), this.text(this.format(v), m.left - 6, y(v) + 4, 'end')));
    const { begin, step, count } = this.data;
    const days = times(begin, begin + count * step, Math.max(2, Math.floor(width / 90))).map(([at, label]) => {
      const where = x((at - begin) / step);
      return svg('g', {}, svg('line', { class: 'grid', x1: where, x2: where, y1: height - m.bottom, y2: height - m.bottom + 4 }), this.text(label, where, height - 5, 'middle'));
    });
    this.plot.replaceChildren(...grid, ...days, ...(this.stacked ? this.areas(x, y) : this.lines(x, y)));
    if (this.at !== null) this.plot.append(svg('line', { class: 'cursor', x1: x(this.at + 0.5), x2: x(this.at + 0.5), y1: m.top, y2: height - m.bottom }));
    this.readout.textContent = this.describe();
  }
  text(content, x, y, anchor) {
    const node = svg('text', { x, y, 'text-anchor': anchor });
    node.textContent = content;
    return node;
  }
  /** One step-shaped path a series, on top of those before it; a gap has none. */
  areas(x, y) {
    const below = new Array(this.data.count).fill(0);
    return this.series.map((s) => {
      let path = '';
      for (let i = 0; i < this.data.count; ++i) {
        const value = this.value(s.key, i);
        if (!value) continue;
        path += `M${x(i)} ${y(below[i])}V${y(below[i] + value)}H${x(i + 1)}V${y(below[i])}Z`;
        below[i] += value;
      }
      return svg('path', { class: 'area ' + s.tone, d: path });
    });
  }
  /** Broken where nothing is known; a step alone is a short dash. */
  lines(x, y) {
    return this.series.map((s) => {
      let path = '', open = false;
      for (let i = 0; i < this.data.count; ++i) {
        const value = this.value(s.key, i);
        if (value === null) { open = false; continue; }
        path += open ? `L${x(i + 0.5)} ${y(value)}` : `M${x(i + 0.25)} ${y(value)}L${x(i + 0.75)} ${y(value)}`;
        open = true;
      }
      return svg('path', { class: 'line ' + s.tone, d: path });
    });
  }
  describe() {
    if (this.at === null) return 'Point at a time, or use the arrow keys.';
    const values = this.series.map((s) => [s.label, this.value(s.key, this.at)]), when = spanOf(this.data.begin + this.at * this.data.step, this.data.step);
    const known = values.filter(([, v]) => v !== null);
    if (!known.length) return `${when}: nothing is known.`;
    const all = this.sum ? [`${this.format(known.reduce((sum, [, v]) => sum + v, 0))} in all`] : [];
    return `${when}: ${[...all, ...known.filter(([, v]) => v || !this.sum).map(([label, v]) => (this.series.length > 1 ? `${label} ${this.format(v)}` : this.format(v)))].join(', ')}`;
  }
}
