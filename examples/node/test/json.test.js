import assert from 'node:assert/strict';
import { test } from 'node:test';
import { elements, mend, same } from '../src/json.js';

test('what was not changed keeps its bytes', () => {
  const text = '{\n    "big": 9007199254740993,\n    "one": 1.0,\n    "slash": "a\\/b \\u003c",\n    "nested": {"n": 1e400, "x": [1.50, {"y": -0}]},\n    "empty": [ ]\n}\n';
  const was = JSON.parse(text);
  assert.equal(mend(text, was), text.trim());
  assert.equal(mend(text, { ...was, one: 2 }), text.trim().replace('1.0', '2'));
  assert.equal(mend(text, { ...was, added: null }), text.trim().replace('[ ]', '[ ],\n    "added": null'));
  const { slash, ...rest } = was;
  assert.equal(slash, 'a/b <');
  assert.equal(mend(text, rest), text.trim().replace('    "slash": "a\\/b \\u003c",\n', ''));
  const deep = structuredClone(was);
  deep.nested.x.push(7);
  assert.equal(mend(text, deep), text.trim().replace('{"y": -0}', '{"y": -0}, 7'));
});

test('elements are found again where they have moved to', () => {
  const text = '[ {"n":9007199254740993}, {"n":1.0}, 3.0 ]';
  const [a, b, c] = JSON.parse(text);
  assert.equal(mend(text, [c, a]), '[ 3.0, {"n":9007199254740993} ]');
  assert.equal(mend(text, [a, { ...b, x: 1 }, c, c]), '[ {"n":9007199254740993}, {"n":1.0,"x":1}, 3.0, 3 ]');
  assert.equal(mend(text, []), '[]');
  assert.deepEqual(elements(text), ['{"n":9007199254740993}', '{"n":1.0}', '3.0']);
});

test('odd texts', () => {
  assert.equal(mend('{}', { a: 1 }), '{"a":1}');
  assert.equal(mend('{"a":1}', {}), '{}');
  assert.equal(mend('{"a":1,"a":2}', { a: 3 }), '{"a":3}');
  assert.equal(mend('{"a":"\\\\","b":"\\""}', { a: '\\', b: 1 }), '{"a":"\\\\","b":1}');
  assert.equal(mend('[1]', { a: undefined, b: new Date(0) }), '{"b":"1970-01-01T00:00:00.000Z"}');
  assert.equal(mend('{"__proto__":1.0,"x":1}', JSON.parse('{"__proto__":1,"x":2}')), '{"__proto__":1.0,"x":2}');
  assert.throws(() => mend('{}', undefined), { code: 'invalid' });
  assert.throws(() => mend('{}', { a: { b: Infinity } }), { code: 'invalid', message: /number/ });
  assert.throws(() => mend('{}', { a: 1n }), { code: 'invalid' });
  const long = JSON.stringify({ s: 'x"\\'.repeat(1 << 20), n: 1 });
  assert.equal(mend(long, { ...JSON.parse(long), n: 2 }), long.replace('"n":1', '"n":2'));
});

test('random documents', () => {
  const seed = Date.now() % 2 ** 31;
  console.log(`seed ${seed}`);
  let state = seed || 1;
  const below = (n) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % n;
  };
  const value = (depth) => {
    switch (below(depth > 3 ? 4 : 6)) {
      case 0:
        return below(1000) / 4;
      case 1:
        return ['', 'a"b', '\\', '}', '{,:]', 'é\u2028'][below(6)];
      case 2:
        return null;
      case 3:
        return below(2) === 0;
      case 4:
        return Array.from({ length: below(4) }, () => value(depth + 1));
      default:
        return Object.fromEntries(Array.from({ length: below(5) }, () => [`k${below(8)}`, value(depth + 1)]));
    }
  };
  for (let i = 0; i < 5000; i++) {
    const [a, b] = [value(0), value(0)];
    const text = JSON.stringify(a, null, [0, 2, '\t'][below(3)]);
    assert.equal(mend(text, a), text);
    const mended = mend(text, b);
    assert.ok(same(JSON.parse(mended), b), `${text} → ${JSON.stringify(b)}: ${mended}`);
  }
});
