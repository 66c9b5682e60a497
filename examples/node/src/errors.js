/**
 * The one class of errors that the adapter throws. Decide by `code`; none of the
 * texts holds a secret or the content of a document.
 */
export class StorageError extends Error {
  /**
   * @param {string} code one of the codes of Poolkeeper (docs/operations.md)
   * @param {string} message what was wrong with what
   * @param {{status?: number, hint?: string, cause?: unknown}} [more]
   */
  constructor(code, message, { status = 0, hint = '', cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'StorageError';
    /** @type {string} */
    this.code = code;
    /** The status of the answer; 0 where there was none. @type {number} */
    this.status = status;
    /** The way out, where there is one. @type {string} */
    this.hint = hint;
  }

  /**
   * What is known of a write that failed: false where surely nothing was
   * changed, true where it may have been. Repeating is safe only after false.
   */
  get mayHaveBeenApplied() {
    return MAYBE.has(this.code);
  }
}

const MAYBE = new Set(['indeterminate', 'timeout', 'cancelled', 'internal', 'lost']);

/** Makes the error of an answer: a problem, or whatever stood in its place. */
export function fromAnswer(status, text) {
  let problem;
  try {
    problem = JSON.parse(text);
  } catch {
    problem = undefined;
  }
  if (typeof problem?.code === 'string') {
    return new StorageError(problem.code, String(problem.detail ?? problem.title ?? problem.code), { status, hint: String(problem.hint ?? '') });
  }
  // Something between us and the service has answered: it may have passed the request on.
  return new StorageError(status < 500 ? 'invalid' : 'indeterminate', `HTTP status ${status}, and the answer is not one of Poolkeeper`, {
    status,
    hint: 'check the URL, and what stands in between',
  });
}
