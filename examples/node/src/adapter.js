import { randomUUID } from 'node:crypto';

import { StorageError } from './errors.js';
import { Documents, ifThere, textOf } from './documents.js';
import { write } from './json.js';
import * as paths from './paths.js';
import { setPool, updateProvider } from './providers.js';

/**
 * The storage of a gateway, in Poolkeeper. All methods are asynchronous, may be
 * called at any time and in any number, and throw a StorageError.
 *
 * What is read is an object, or null where there is no such thing; with
 * `{text: true}` it is the JSON text as it is stored. What is written is an
 * object, of which only what differs from the stored one is written, or JSON
 * text, which is kept to the byte.
 *
 * A write resolves to `{status, revision, changed, …}`. Counters in it are
 * numbers, or BigInts beyond Number.MAX_SAFE_INTEGER.
 */
export class PoolkeeperStorageAdapter {
  #transport;
  #documents;

  /** @param {import('./transport.js').Transport} transport */
  constructor(transport) {
    this.#transport = transport;
    this.#documents = new Documents(transport);
  }

  // Configuration and documents.

  async getConfig(options) {
    return this.#documents.get(`${paths.base}/config`, options);
  }

  async setConfig(config, options) {
    return this.#documents.put(`${paths.base}/config`, config, options);
  }

  async getDocument(name, options) {
    return this.#documents.get(paths.document(name), options);
  }

  async setDocument(name, value, options) {
    return this.#documents.put(paths.document(name), value, options);
  }

  async deleteDocument(name) {
    return this.#delete(paths.document(name));
  }

  async getPlugins(options) {
    return this.getDocument('plugins.json', options);
  }

  async setPlugins(plugins, options) {
    return this.setDocument('plugins.json', plugins, options);
  }

  async getUsageCache(options) {
    return this.getDocument('usage-cache.json', options);
  }

  async setUsageCache(cache, options) {
    return this.setDocument('usage-cache.json', cache, options);
  }

  // Pools and providers.

  /** All pools: `{type: [provider, …], …}`. */
  async getProviderPools(options) {
    return this.#documents.get(`${paths.base}/pools`, options);
  }

  /** The providers of one type, in their order. */
  async getProviderPool(type, options) {
    return this.#documents.get(paths.pool(type), options);
  }

  /** Makes a pool exactly these providers. Those that stay keep their runtime state. */
  async setProviderPool(type, providers) {
    return setPool(this.#transport, type, providers);
  }

  async deleteProviderPool(type) {
    return this.#delete(paths.pool(type));
  }

  async getProvider(type, uuid, options) {
    return this.#documents.get(paths.provider(type, uuid), options);
  }

  /** Adds a provider at the end of its pool; the answer has its `id`. */
  async addProvider(type, provider) {
    const body = textOf(provider) ?? write(provider, 2);
    return this.#write('POST', paths.pool(type), body);
  }

  /** Changes the fields of a definition that `updates` names; undefined removes one. */
  async updateProvider(type, uuid, updates) {
    return updateProvider(this.#transport, type, uuid, updates);
  }

  async deleteProvider(type, uuid) {
    return this.#delete(paths.provider(type, uuid));
  }

  async renameProvider(type, uuid, newUuid) {
    return this.#write('POST', `${paths.provider(type, uuid)}/rename`, { id: newUuid });
  }

  // What traffic does. Each is sent once, but for an increment of uses: that carries a
  // key, by which the service counts it once, and is sent again where the connection
  // was lost. What a decision about health does twice depends on what was decided
  // between, so it has no key; without an answer it is in doubt, and stays so.

  /**
   * Adds `n` to usageCount and moves lastUsed; the answer has the `usageCount`. While
   * Redis is away its `status` is `queued`: it is counted later, and has no count yet.
   */
  async incrementUsage(type, uuid, n = 1) {
    return this.#write('POST', `${paths.provider(type, uuid)}/usage`, n === 1 ? undefined : { n }, { 'Idempotency-Key': randomUUID() });
  }

  /**
   * Counts an error, at most once: where the error thrown says `mayHaveBeenApplied`,
   * sending it again may count it twice. The answer has `errorCount` and `isHealthy`.
   *
   * @param {string | {message?: string, markUnhealthy?: boolean, recoverAt?: Date | string}} [error] a message, or more
   */
  async incrementError(type, uuid, error = {}) {
    return this.#write('POST', `${paths.provider(type, uuid)}/error`, typeof error === 'string' ? { message: error } : { ...error });
  }

  /** Records the outcome of a health check. @param {{model?: string, message?: string}} [details] */
  async updateHealthStatus(type, uuid, isHealthy, details = {}) {
    return this.#write('POST', `${paths.provider(type, uuid)}/health`, { healthy: isHealthy, ...details });
  }

  /** Makes a provider healthy, without errors; with `usage` its uses are 0 as well. */
  async resetProvider(type, uuid, { usage = false } = {}) {
    return this.#write('POST', `${paths.provider(type, uuid)}/reset`, { usage });
  }

  // Tokens.

  async getToken(type, uuid, options) {
    return this.#documents.get(paths.token(type, uuid), options);
  }

  /**
   * Stores a token. Whoever has refreshed one gives `{ifMatch: etagOf(token)}` of
   * the token that it was refreshed from, so that it does not undo another refresh.
   */
  async setToken(type, uuid, token, options) {
    return this.#documents.put(paths.token(type, uuid), token, options);
  }

  async deleteToken(type, uuid) {
    return this.#delete(paths.token(type, uuid));
  }

  /** The ETag of an object that a method returned, for `ifMatch`. */
  etagOf(value) {
    return this.#documents.etagOf(value);
  }

  // Password and sessions.

  /** There is no way to read the password; it can only be verified. */
  async getPassword() {
    throw new StorageError('forbidden', 'the password cannot be read', { hint: 'use verifyPassword' });
  }

  /**
   * Whether it is the UI password. False where none is stored: there is no default. `client` says who tries,
   * such as the address of the browser: after 10 wrong ones it is refused for a while (`forbidden`, status
   * 429), and without `client` everybody is.
   */
  async verifyPassword(password, { client } = {}) {
    const res = await this.#transport.request('POST', `${paths.base}/password/verify`, { body: JSON.stringify({ password, client }) });
    return JSON.parse(res.text).valid === true;
  }

  async setPassword(password) {
    return this.#write('PUT', `${paths.base}/password`, { password });
  }

  async getSession(bearer) {
    const res = await ifThere(this.#transport.request('GET', `${paths.base}/sessions`, { headers: bearerOf(bearer) }));
    return res === undefined ? null : JSON.parse(res.text);
  }

  /**
   * Begins or changes a session. It ends at `expires`, a Date or milliseconds;
   * where that is not given, at the `expiryTime` of the session; else never.
   */
  async setSession(bearer, session, expires = session?.expiryTime) {
    const headers = bearerOf(bearer);
    if (expires !== undefined && expires !== null) {
      const at = new Date(expires);
      if (Number.isNaN(at.getTime())) throw new StorageError('invalid', 'the end of the session is no time');
      headers['Session-Expires'] = at.toISOString();
    }
    return this.#write('PUT', `${paths.base}/sessions`, textOf(session) ?? session, headers);
  }

  async deleteSession(bearer) {
    return this.#delete(`${paths.base}/sessions`, bearerOf(bearer));
  }

  // The service.

  /** What the store is and how it is: version, backend, readiness, epoch, warnings. */
  async getMetadata(options) {
    return this.#documents.get(`${paths.base}/status`, options);
  }

  /** Closes the connections. Later calls fail with the code `closed`. */
  async close() {
    this.#transport.close();
  }

  async #write(method, path, body, headers) {
    const text = body === undefined || typeof body === 'string' || body instanceof Uint8Array ? body : write(body);
    const res = await this.#transport.request(method, path, { body: text, headers });
    return exact(res.text);
  }

  /** Whether there was something to delete. */
  async #delete(path, headers) {
    return (await ifThere(this.#transport.request('DELETE', path, { headers }).then(() => true))) ?? false;
  }
}

/** The header of a session. Its bearer stands in no path, which would be logged. */
function bearerOf(bearer) {
  if (typeof bearer !== 'string' || bearer === '') throw new StorageError('invalid', 'the bearer of the session is not a text');
  return { 'Session-Bearer': encodeURIComponent(bearer) };
}

/** Parses the answer to a write, with its counters exact. */
function exact(text) {
  const answer = JSON.parse(text);
  for (const name of ['usageCount', 'errorCount', 'refreshCount']) {
    if (typeof answer[name] === 'number' && !Number.isSafeInteger(answer[name])) {
      answer[name] = BigInt(new RegExp(`"${name}":(-?\\d+)`).exec(text)[1]);
    }
  }
  return answer;
}
