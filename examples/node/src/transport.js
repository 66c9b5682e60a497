import http from 'node:http';
import https from 'node:https';
import { StorageError, fromAnswer } from './errors.js';

// The service closes a connection that was idle for 2 minutes. Ours go first:
// a request must not meet a connection that is just being closed.
const IDLE = 60_000;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Requests over connections that are kept, by TCP or a unix socket. */
export class Transport {
  #options;
  #agent;
  #lib;
  #closed = false;

  constructor(options) {
    this.#options = options;
    this.#lib = options.url.protocol === 'https:' && !options.socketPath ? https : http;
    this.#agent = new this.#lib.Agent({ keepAlive: true, timeout: IDLE, maxSockets: 128, scheduling: 'lifo' });
  }

  /**
   * Sends one request and returns the answer, or throws a StorageError.
   *
   * @param {string} method
   * @param {string} path percent-encoded
   * @param {{body?: string | Uint8Array, type?: string, headers?: Record<string, string>}} [more]
   * @returns {Promise<{status: number, headers: http.IncomingHttpHeaders, text: string}>}
   */
  async request(method, path, more = {}) {
    try {
      return await this.#once(method, path, more);
    } catch (err) {
      // A read may be sent again where the connection turned out to be dead, and so
      // may what the service counts once under its key.
      if (method === 'GET' && err.stale) return await this.#once(method, path, more);
      if (!more.headers?.['Idempotency-Key'] || !err.lost) throw err;
      try {
        return await this.#once(method, path, more);
      } catch (second) {
        // Where that has no answer either, the first one is still the one in doubt.
        throw second.status > 0 && second.status < 500 ? second : err;
      }
    }
  }

  async #once(method, path, { body, type = 'application/json', headers = {} }) {
    if (this.#closed) throw new StorageError('closed', 'the storage adapter is closed');
    const { status, headers: got, data } = await this.#send(method, path, body, { ...(body === undefined ? {} : { 'Content-Type': type }), ...headers });
    let text;
    try {
      text = decoder.decode(data);
    } catch {
      throw new StorageError('damaged', 'the answer is not UTF-8', { status });
    }
    if (status >= 400) throw fromAnswer(status, text);
    return { status, headers: got, text };
  }

  #send(method, path, body, headers) {
    const { url, socketPath, apiKey, timeout } = this.#options;
    if (apiKey) headers.Authorization = `Bearer ${apiKey}`;
    const bytes = body === undefined ? undefined : Buffer.from(body);
    if (bytes) headers['Content-Length'] = String(bytes.length);
    else if (method !== 'GET') headers['Content-Length'] = '0';
    const where = socketPath ? { socketPath, host: 'localhost' } : { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port || undefined };
    const prefix = socketPath ? '' : url.pathname.replace(/\/$/, '');
    return new Promise((resolve, reject) => {
      let sent = false;
      const req = this.#lib.request({ ...where, agent: this.#agent, method, path: prefix + path, headers });
      const timer = setTimeout(() => {
        req.destroy();
        reject(this.#lost(method, sent, 'timeout', `no answer within ${timeout} ms`));
      }, timeout);
      const fail = (err) => {
        clearTimeout(timer);
        const error = this.#lost(method, sent, 'indeterminate', `the connection failed: ${err.code ?? err.message}`);
        error.stale = req.reusedSocket && err.code === 'ECONNRESET';
        error.lost = sent;
        reject(error);
      };
      req.on('error', fail);
      req.on('socket', (socket) => {
        if (!socket.connecting) sent = true;
        else socket.once('connect', () => (sent = true));
      });
      req.on('response', (res) => {
        const chunks = [];
        res.on('data', (c) => chunks.push(c));
        res.on('error', fail);
        res.on('end', () => {
          clearTimeout(timer);
          resolve({ status: res.statusCode, headers: res.headers, data: Buffer.concat(chunks) });
        });
      });
      req.end(bytes);
    });
  }

  /** What is known where no answer came: a read, or what was never sent, changes nothing. */
  #lost(method, sent, code, message) {
    if (method === 'GET' || !sent) code = 'unavailable';
    return new StorageError(code, `Poolkeeper: ${message}`, {
      hint: code === 'unavailable' ? 'check that it runs, and its URL' : 'it may have been applied, and if it was, then once',
    });
  }

  /** Closes the connections. */
  close() {
    this.#closed = true;
    this.#agent.destroy();
  }
}
