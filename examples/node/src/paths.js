import { StorageError } from './errors.js';

export const base = '/api/v1';

/** Writes a type, id or name as one segment of a path. */
export function segment(value) {
  if (typeof value !== 'string') throw new StorageError('invalid', 'a type, id or name is not a string');
  if (value === '') return '~'; // the empty type
  if (value === '.' || value === '..') return value.replaceAll('.', '%2E');
  try {
    return encodeURIComponent(value.startsWith('~') ? `~${value}` : value);
  } catch {
    throw new StorageError('invalid', 'a type, id or name is not valid Unicode');
  }
}

export const pool = (type) => `${base}/pools/${segment(type)}`;
export const provider = (type, id) => `${pool(type)}/${segment(id)}`;
export const token = (type, id) => `${base}/tokens/${segment(type)}/${segment(id)}`;
export const document = (name) => `${base}/documents/${segment(name)}`;
