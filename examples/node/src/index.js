import { PoolkeeperStorageAdapter } from './adapter.js';
import { resolveOptions } from './options.js';
import { Transport } from './transport.js';

export { PoolkeeperStorageAdapter } from './adapter.js';
export { StorageError } from './errors.js';

/**
 * Makes the storage adapter of a gateway. Nothing is sent until it is used.
 *
 * @param {{poolkeeper?: {url?: string, addr?: string, socketPath?: string, apiKey?: string, apiKeyFile?: string, timeout?: number}}} [config]
 *   the configuration of the gateway; the environment comes before it
 */
export function createStorageAdapter(config = {}) {
  return new PoolkeeperStorageAdapter(new Transport(resolveOptions(config, process.env)));
}
