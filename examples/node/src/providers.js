import { StorageError } from './errors.js';
import { again, ifThere, textOf } from './documents.js';
import { elements, mend, plain, same, write } from './json.js';
import { pool, provider } from './paths.js';

/** What traffic changes. It is not part of a definition, and no edit touches it. */
const RUNTIME = new Set([
  'usageCount', 'errorCount', 'refreshCount', 'lastUsed', 'lastErrorTime', 'lastErrorMessage', 'isHealthy', 'lastHealthCheckTime',
  'lastHealthCheckModel', 'needsRefresh', 'scheduledRecoveryTime', 'lastRefreshTime', '_lastSelectionSeq',
]);

/** The id by which a provider that was read is addressed. */
export const idOf = (p) => (typeof p?._id === 'string' && p._id.startsWith('~') ? p._id : p?.uuid);

/** Changes the fields that `updates` names; undefined removes one. */
export function updateProvider(transport, type, id, updates) {
  return again(async () => {
    const now = await transport.request('GET', provider(type, id));
    const [effective, definition] = [JSON.parse(now.text), await transport.request('GET', provider(type, id) + '?definition=true')];
    if (definition.headers.etag !== now.headers.etag) throw new StorageError('conflict', 'the provider changed while it was read');
    const stored = JSON.parse(definition.text);
    const next = { ...stored };
    for (const [name, value] of Object.entries(updates)) {
      if (Object.hasOwn(effective, name) && same(effective[name], plain(value))) continue; // it was only passed back
      if (name === 'uuid') throw new StorageError('invalid', 'uuid is the id of the provider, which an update does not change', { hint: 'use renameProvider' });
      if (RUNTIME.has(name)) {
        throw new StorageError('invalid', `${name} is runtime state, which an update does not change`, {
          hint: 'use incrementUsage, incrementError, updateHealthStatus or resetProvider',
        });
      }
      if (value === undefined) delete next[name];
      else next[name] = value;
    }
    const body = mend(definition.text, next);
    const res = await transport.request('PUT', provider(type, id), { body, headers: { 'If-Match': now.headers.etag } });
    return JSON.parse(res.text);
  });
}

/** Makes a pool exactly the providers given, in that order. */
export function setPool(transport, type, providers) {
  if (!Array.isArray(providers)) {
    const body = textOf(providers);
    if (body === undefined) throw new StorageError('invalid', 'a pool is an array of providers, or its JSON text');
    return transport.request('PUT', pool(type), { body }).then((res) => JSON.parse(res.text));
  }
  return again(async () => {
    const shown = await ifThere(transport.request('GET', pool(type)));
    const kept = shown && (await transport.request('GET', pool(type) + '?definition=true'));
    if (shown && kept.headers.etag !== shown.headers.etag) throw new StorageError('conflict', 'the pool changed while it was read');
    const definitions = kept ? elements(kept.text) : [];
    const byID = new Map((shown ? JSON.parse(shown.text) : []).map((p, i) => [idOf(p), definitions[i]]));
    const parts = providers.map((p) => {
      const text = byID.get(idOf(p));
      return text === undefined ? write(p, 2) : redefine(text, p);
    });
    const res = await transport.request('PUT', pool(type), {
      body: `[${parts.join(',')}]`,
      headers: shown ? { 'If-Match': shown.headers.etag } : { 'If-None-Match': '*' },
    });
    return JSON.parse(res.text);
  });
}

/** The definition of a provider that stays: its runtime fields are as they were. */
function redefine(text, p) {
  const stored = JSON.parse(text);
  const next = { ...p };
  for (const name of RUNTIME) {
    if (Object.hasOwn(stored, name)) next[name] = stored[name];
    else delete next[name];
  }
  return mend(text, next);
}
