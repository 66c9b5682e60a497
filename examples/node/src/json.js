import { StorageError } from './errors.js';

/**
 * Edits JSON text without touching the rest of it.
 *
 * JSON.parse turns 9007199254740993 into 9007199254740992 and 1.0 into 1, so a
 * document that is parsed, changed and written again would come back damaged.
 * `mend` keeps the text of every part that the caller did not change.
 */

const WHITE = /[ \t\n\r]*/y;
const BARE = /[^ \t\n\r,\]}]+/y;

function skip(text, at) {
  WHITE.lastIndex = at;
  WHITE.test(text);
  return WHITE.lastIndex;
}

/** Returns where the string that begins at `at` ends. */
function endOfString(text, at) {
  for (let quote = at + 1; ; quote++) {
    quote = text.indexOf('"', quote);
    let slashes = 0;
    while (text[quote - 1 - slashes] === '\\') slashes++;
    if (slashes % 2 === 0) return quote + 1;
  }
}

/** Returns where the value that begins at `at` ends. The text is valid JSON. */
function endOf(text, at) {
  for (let depth = 0; ; ) {
    const c = text[at];
    if (c === '{' || c === '[') {
      depth++;
      at++;
    } else if (c === '}' || c === ']') {
      depth--;
      at++;
    } else if (c === ',' || c === ':') {
      at++;
    } else if (c === '"') {
      at = endOfString(text, at);
    } else {
      BARE.lastIndex = at;
      BARE.test(text);
      at = BARE.lastIndex;
    }
    if (depth === 0) return at;
    at = skip(text, at);
  }
}

/**
 * Takes an object or array apart: its members with the places of their text.
 * `before` is where the white space before a member begins.
 */
function members(text) {
  const object = text[0] === '{';
  const out = [];
  let at = 1;
  for (;;) {
    const before = at;
    at = skip(text, at);
    if (text[at] === '}' || text[at] === ']') return out;
    const member = { before, start: at };
    if (object) {
      const end = endOf(text, at);
      member.key = JSON.parse(text.slice(at, end));
      at = skip(text, skip(text, end) + 1);
    }
    member.value = at;
    member.end = endOf(text, at);
    out.push(member);
    at = skip(text, member.end);
    if (text[at] !== ',') return out;
    at++;
  }
}

/** The texts of the elements of an array. @param {string} text valid JSON */
export function elements(text) {
  text = text.trim();
  return members(text).map((m) => text.slice(m.value, m.end));
}

const isObject = (v) => v !== null && typeof v === 'object' && !Array.isArray(v);

/** Reports whether two values are the same to JSON. */
export function same(a, b) {
  if (a === b) return true;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((v, i) => same(v, b[i]));
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((k) => Object.hasOwn(b, k) && same(a[k], b[k]));
}

/**
 * Returns JSON text that means `next`. What means the same in `text` already
 * keeps its bytes, and members that stay keep their order.
 *
 * @param {string} text valid JSON
 * @param {unknown} next
 */
export function mend(text, next) {
  return mendValue(text.trim(), plain(next));
}

/** Writes a value as JSON, or refuses one that JSON does not have. */
export function write(value, indent) {
  const text = JSON.stringify(value, finite, indent);
  if (text === undefined) throw new StorageError('invalid', 'the value cannot be written as JSON');
  return text;
}

function finite(_, value) {
  if (typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value))) {
    throw new StorageError('invalid', 'the value has a number that JSON.stringify cannot write', { hint: 'give the document as JSON text' });
  }
  return value;
}

/**
 * The value as JSON sees it: no undefined, no Date. JSON.parse(JSON.stringify())
 * would make null of 1e400, which is a number of the document and may stay.
 */
export function plain(value) {
  if (typeof value?.toJSON === 'function') return plain(value.toJSON());
  if (Array.isArray(value)) return value.map((v) => (v === undefined ? null : plain(v)));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined && typeof v !== 'function').map(([k, v]) => [k, plain(v)]));
}

function mendValue(text, next) {
  const was = JSON.parse(text);
  if (same(was, next)) return text;
  if (isObject(was) && isObject(next)) return mendObject(text, next) ?? write(next);
  if (Array.isArray(was) && Array.isArray(next)) return mendArray(text, was, next);
  return write(next);
}

function mendObject(text, next) {
  const list = members(text);
  if (new Set(list.map((m) => m.key)).size !== list.length) return undefined; // which of the twins counts is not ours to say
  const parts = [];
  for (const m of list) {
    if (Object.hasOwn(next, m.key)) parts.push(text.slice(m.before, m.value) + mendValue(text.slice(m.value, m.end), next[m.key]));
  }
  // New members look like the first one.
  const lead = list.length > 0 ? text.slice(list[0].before, list[0].start) : '';
  const colon = list.length > 0 && /\s$/.test(text.slice(list[0].start, list[0].value)) ? ': ' : ':';
  const have = new Set(list.map((m) => m.key));
  for (const key of Object.keys(next)) {
    if (!have.has(key)) parts.push(lead + JSON.stringify(key) + colon + write(next[key]));
  }
  return join(text, list, parts);
}

function mendArray(text, was, next) {
  const list = members(text);
  const raw = list.map((m) => text.slice(m.value, m.end));
  const free = new Set(raw.keys());
  // An element that did not change is found again wherever it has moved to.
  const from = next.map((v, i) => {
    const at = free.has(i) && same(was[i], v) ? i : [...free].find((j) => same(was[j], v));
    free.delete(at);
    return at;
  });
  const parts = next.map((v, i) => {
    let part;
    if (from[i] !== undefined) part = raw[from[i]];
    else if (free.delete(i)) part = mendValue(raw[i], v);
    else part = write(v);
    const lead = list[Math.min(i, list.length - 1)];
    return (lead ? text.slice(lead.before, lead.start) : '') + part;
  });
  return join(text, list, parts);
}

/** Puts the parts between the brackets of a text. */
function join(text, list, parts) {
  const tail = list.length > 0 && parts.length > 0 ? text.slice(list.at(-1).end) : text.at(-1);
  return text[0] + parts.join(',') + tail;
}
