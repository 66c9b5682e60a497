import { StorageError } from './errors.js';
import { mend, write } from './json.js';

/** How often a change is tried anew where others change the same thing. */
const ATTEMPTS = 20;

/**
 * Runs `attempt` again where the thing changed between reading and writing it.
 *
 * @template T
 * @param {() => Promise<T>} attempt
 * @returns {Promise<T>}
 */
export async function again(attempt) {
  for (let i = 1; ; i++) {
    try {
      return await attempt();
    } catch (err) {
      if (err.code !== 'conflict' || i === ATTEMPTS) throw err;
    }
  }
}

/** Undefined where the thing is not there. */
export async function ifThere(promise) {
  try {
    return await promise;
  } catch (err) {
    if (err.code === 'not-found') return undefined;
    throw err;
  }
}

/** The text of a JSON document that a caller gives, or undefined for a value. */
export function textOf(value) {
  if (typeof value === 'string') return value;
  if (value instanceof Uint8Array) return value;
  if (value === undefined || value === null || typeof value !== 'object') {
    throw new StorageError('invalid', 'a document is an object, or its JSON text');
  }
  return undefined;
}

/** Reads and writes documents: the configuration, tokens, and all others. */
export class Documents {
  #transport;
  #tags = new WeakMap(); // value → ETag

  constructor(transport) {
    this.#transport = transport;
  }

  /** The document, as an object or as its text; null where there is none. */
  async get(path, { text = false } = {}) {
    const res = await ifThere(this.#transport.request('GET', path));
    if (res === undefined) return null;
    if (text) return res.text;
    const value = JSON.parse(res.text);
    if (value !== null && typeof value === 'object') this.#tags.set(value, res.headers.etag);
    return value;
  }

  /** The ETag of an object that `get` returned. */
  etagOf(value) {
    return this.#tags.get(value);
  }

  /**
   * Writes a document. Text is written as it is. An object is laid over what is
   * stored: what it does not change keeps its bytes.
   */
  async put(path, value, { ifMatch } = {}) {
    const text = textOf(value);
    const attempt = async () => {
      const now = text === undefined ? await ifThere(this.#transport.request('GET', path)) : undefined;
      const headers = ifMatch ? { 'If-Match': ifMatch } : {};
      if (text === undefined && !ifMatch) Object.assign(headers, now ? { 'If-Match': now.headers.etag } : { 'If-None-Match': '*' });
      const body = text ?? (now ? mend(now.text, value) : write(value, 2));
      const res = await this.#transport.request('PUT', path, { body, headers });
      return JSON.parse(res.text);
    };
    // A caller with a condition decides anew by himself.
    return ifMatch ? attempt() : again(attempt);
  }
}
