// --- the chat's own tools: they run in this page, reach nothing outside of it, and read no text as a program
/** The value of an arithmetic expression. Throws an Error that a reader understands. */
function calculate(text) {
  const functions = { sqrt: Math.sqrt, cbrt: Math.cbrt, abs: Math.abs, round: Math.round, floor: Math.floor, ceil: Math.ceil, ln: Math.log, log: Math.log10, log2: Math.log2, exp: Math.exp, sin: Math.sin, cos: Math.cos, tan: Math.tan, min: Math.min, max: Math.max };
  const constants = { pi: Math.PI, e: Math.E };
  if (text.length > 1000) throw new Error('the expression is longer than 1000 characters');
  const tokens = text.replaceAll('×', '*').replaceAll('÷', '/').replaceAll('−', '-').replaceAll('**', '^').match(/\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+|[A-Za-z_]\w*|[-+*/%^(),]|\S/g) ?? [];
  let at = 0;
  const take = (wanted) => (tokens[at] === wanted ? (++at, true) : false);
  const need = (wanted) => { if (!take(wanted)) throw new Error(`'${wanted}' is missing before '${tokens[at] ?? 'the end'}'`); };
  const sum = (depth) => {
    let value = product(depth);
    for (; ;) { if (take('+')) value += product(depth); else if (take('-')) value -= product(depth); else return value; }
  };
  const product = (depth) => {
    let value = signed(depth);
    for (; ;) { if (take('*')) value *= signed(depth); else if (take('/')) value /= signed(depth); else if (take('%')) value %= signed(depth); else return value; }
  };
  const signed = (depth) => {
    if (depth > 100) throw new Error('the expression nests too deep');
    if (take('-')) return -signed(depth + 1);
    return take('+') ? signed(depth + 1) : power(depth);
  };
  const power = (depth) => { const value = single(depth); return take('^') ? value ** signed(depth + 1) : value; };
  const single = (depth) => {
    const token = tokens[at++];
    if (token === '(') { const value = sum(depth + 1); need(')'); return value; }
    if (/^[\d.]/.test(token ?? '')) return Number(token);
    const name = token?.toLowerCase();
    if (Object.hasOwn(constants, name)) return constants[name];
    if (!Object.hasOwn(functions, name)) throw new Error(token === undefined ? 'the expression ends too early' : `'${token}' is not known here`);
    need('(');
    const values = [sum(depth + 1)];
    while (take(',')) values.push(sum(depth + 1));
    need(')');
    return functions[name](...values);
  };
  const value = sum(0);
  if (at < tokens.length) throw new Error(`'${tokens[at]}' is not expected there`);
  if (!Number.isFinite(value)) throw new Error('the value is no finite number');
  return Number(value.toPrecision(12));
}
/** What one unit is in its kind's first one. */
const unitKinds = {
  length: { m: 1, km: 1000, cm: 0.01, mm: 0.001, mi: 1609.344, yd: 0.9144, ft: 0.3048, in: 0.0254, nmi: 1852 },
  mass: { kg: 1, g: 0.001, mg: 1e-6, t: 1000, lb: 0.45359237, oz: 0.028349523125, st: 6.35029318 },
  time: { s: 1, ms: 0.001, min: 60, h: 3600, d: 86400, week: 604800, year: 31557600 },
  volume: { l: 1, ml: 0.001, m3: 1000, gal: 3.785411784, qt: 0.946352946, pt: 0.473176473, cup: 0.2365882365, floz: 0.0295735295625 },
  area: { m2: 1, km2: 1e6, ha: 1e4, acre: 4046.8564224, ft2: 0.09290304 },
  speed: { 'm/s': 1, 'km/h': 1 / 3.6, mph: 0.44704, kn: 1852 / 3600 },
  energy: { j: 1, kj: 1000, cal: 4.184, kcal: 4184, wh: 3600, kwh: 3.6e6 },
  pressure: { pa: 1, kpa: 1000, bar: 1e5, psi: 6894.757293168, atm: 101325 },
  data: { b: 1, kb: 1e3, mb: 1e6, gb: 1e9, tb: 1e12, kib: 1024, mib: 1048576, gib: 1073741824, tib: 1099511627776 },
};
const otherUnitNames = { metre: 'm', meter: 'm', kilometre: 'km', kilometer: 'km', centimetre: 'cm', centimeter: 'cm', mile: 'mi', yard: 'yd', foot: 'ft', feet: 'ft', inch: 'in', inches: 'in', kilogram: 'kg', gram: 'g', tonne: 't', pound: 'lb', ounce: 'oz', stone: 'st', second: 's', minute: 'min', hour: 'h', day: 'd', litre: 'l', liter: 'l', gallon: 'gal', hectare: 'ha', byte: 'b', celsius: 'c', fahrenheit: 'f', kelvin: 'k', '°c': 'c', '°f': 'f', knot: 'kn', joule: 'j', pascal: 'pa' };
function convertUnits({ value, from, to }) {
  const known = (name) => { const plain = String(name).trim().toLowerCase(), single = plain.replace(/s$/, ''); return otherUnitNames[plain] ?? otherUnitNames[single] ?? (unitIn(plain) ? plain : single); };
  const unitIn = (name) => Object.values(unitKinds).some((units) => Object.hasOwn(units, name));
  const [a, b] = [known(from), known(to)], number = Number(value);
  if (!Number.isFinite(number)) throw new Error('the value is no number');
  const kelvin = { c: [1, 273.15], f: [5 / 9, 459.67 * 5 / 9], k: [1, 0] };
  if (Object.hasOwn(kelvin, a) && Object.hasOwn(kelvin, b)) return Number(((number * kelvin[a][0] + kelvin[a][1] - kelvin[b][1]) / kelvin[b][0]).toPrecision(10));
  const kind = Object.values(unitKinds).find((units) => Object.hasOwn(units, a) && Object.hasOwn(units, b));
  if (!kind) throw new Error(`'${from}' and '${to}' are not two known units of one kind`);
  return Number((number * kind[a] / kind[b]).toPrecision(10));
}
function currentTime({ time_zone: zone }) {
  return new Date().toLocaleString('en-GB', { dateStyle: 'full', timeStyle: 'long', ...(zone ? { timeZone: zone } : {}) });
}
const declared = (name, description, properties, required) => ({ type: 'function', function: { name, description, parameters: { type: 'object', properties, required, additionalProperties: false } } });
const chatTools = {
  calculate: { run: ({ expression }) => calculate(String(expression)), is: declared('calculate', 'The value of an arithmetic expression, such as (3 + 4) * 2^3 or sqrt(2).', { expression: { type: 'string' } }, ['expression']) },
  convert_units: { run: convertUnits, is: declared('convert_units', 'A value in another unit of the same kind, such as miles in km or celsius in fahrenheit.', { value: { type: 'number' }, from: { type: 'string' }, to: { type: 'string' } }, ['value', 'from', 'to']) },
  current_time: { run: currentTime, is: declared('current_time', 'The date and the time now, here or in a time zone such as Europe/Berlin.', { time_zone: { type: 'string' } }, []) },
};
/** What a tool says to a model's call; what is wrong with the call is told to the model. */
function runTool(name, text) {
  try {
    if (!Object.hasOwn(chatTools, name)) throw new Error(`there is no tool '${name}'`);
    return String(chatTools[name].run(JSON.parse(text || '{}') ?? {}));
  } catch (error) { return 'error: ' + error.message; }
}
