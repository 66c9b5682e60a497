import { readFileSync } from 'node:fs';
import { StorageError } from './errors.js';

/**
 * Finds out where the service is and what the key is: environment, then the
 * section `poolkeeper` of the configuration, then the defaults of the service.
 *
 * @param {object} config the configuration of the gateway
 * @param {Record<string, string | undefined>} env
 */
export function resolveOptions(config, env) {
  const section = config?.poolkeeper ?? {};
  const pick = (name, key) => env[name] || section[key] || '';
  const socketPath = pick('POOLKEEPER_SOCKET', 'socketPath');
  const address = env.POOLKEEPER_ADDR || section.addr;
  const text = pick('POOLKEEPER_URL', 'url') || `http://${address || '127.0.0.1:8787'}`;
  let url;
  try {
    url = new URL(text);
  } catch {
    url = undefined;
  }
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.username || url.password || url.search || url.hash) {
    throw new StorageError('invalid', 'the URL of Poolkeeper is not http(s)://HOST:PORT', { hint: 'set POOLKEEPER_URL; the key has a variable of its own' });
  }
  const timeout = Number(pick('POOLKEEPER_TIMEOUT', 'timeout') || 10_000);
  if (!Number.isInteger(timeout) || timeout < 1) {
    throw new StorageError('invalid', 'the timeout of Poolkeeper is not a number of milliseconds', { hint: 'set POOLKEEPER_TIMEOUT' });
  }
  return { url, socketPath, timeout, apiKey: apiKey(section, env, socketPath !== '') };
}

function apiKey(section, env, optional) {
  const given = env.POOLKEEPER_API_KEY || (env.POOLKEEPER_API_KEY_FILE ? '' : section.apiKey);
  const file = env.POOLKEEPER_API_KEY_FILE || section.apiKeyFile;
  if (given) return given;
  if (file) {
    try {
      return readFileSync(file, 'utf8').trim();
    } catch (cause) {
      throw new StorageError('invalid', `the key file of Poolkeeper cannot be read: ${cause.code}`, { hint: 'check POOLKEEPER_API_KEY_FILE' });
    }
  }
  if (optional) return '';
  throw new StorageError('invalid', 'there is no API key for Poolkeeper', { hint: 'set POOLKEEPER_API_KEY_FILE to the file that `poolkeeper serve` names' });
}
