'use strict';
// Draws what the server says and computes nothing that it doesn't: rates are differences of its counters.
const $ = (id) => document.getElementById(id);
const el = (tag, props = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
};
const fill = (node, ...children) => node.replaceChildren(...children.filter((child) => child !== null && child !== undefined));
const number = (n) => n === null || n === undefined ? '–' : n.toLocaleString('en', { maximumFractionDigits: n < 10 ? 2 : n < 100 ? 1 : 0 });
const bytes = (n) => { let i = 0; while (n >= 1024 && i < 4) { n /= 1024; ++i; } return number(n) + ' ' + ['B', 'KiB', 'MiB', 'GiB', 'TiB'][i]; };
const dollars = (n) => '$' + n.toLocaleString('en', { maximumSignificantDigits: 3 });
const percent = (share) => number(share * 100) + ' %';
const time = (ms) => ms === null || ms === undefined ? '–' : ms < 1000 ? number(ms) + ' ms' : number(ms / 1000) + ' s';
const age = (s) => s < 120 ? number(Math.floor(s)) + ' s' : s < 7200 ? number(Math.floor(s / 60)) + ' min' : s < 172800 ? number(Math.floor(s / 3600)) + ' h' : number(Math.floor(s / 86400)) + ' d';
const clock = (unix) => new Date(unix * 1000).toLocaleTimeString('en-GB');
