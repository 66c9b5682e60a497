// The adapter against the real service, on each store.
import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fixture, startService } from './service.js';

const KIRO = 'claude-kiro-oauth';
const ONE = 'ab226ca1-2651-430f-a1f0-85aa0228e36e';
const OTHER = 'd429f005-0350-43df-a56b-f480c68f4d39';

const file = (name) => readFile(path.join(fixture, 'configs', name), 'utf8');

for (const store of ['file', 'redis']) {
  describe(`on ${store}`, () => {
    let service;
    let adapter;
    before(async () => {
      service = await startService(store);
      adapter = service.adapter();
    });
    after(async () => {
      const output = service.output();
      assert.equal(await service.stop(), 0, output);
      assert.ok(!output.includes(service.config.apiKey), 'the key is in the log');
    });

    test('metadata says what the store is', async () => {
      const meta = await adapter.getMetadata();
      assert.equal(meta.backend, store);
      assert.equal(meta.ready, true);
    });

    test('everything is read as the directory has it', async () => {
      assert.deepEqual(await adapter.getProviderPools(), JSON.parse(await file('provider_pools.json')));
      assert.deepEqual(Object.keys(await adapter.getProviderPools()), Object.keys(JSON.parse(await file('provider_pools.json'))));
      assert.equal(await adapter.getConfig({ text: true }), await file('config.json'));
      assert.equal(await adapter.getPlugins({ text: true }), await file('plugins.json'));
      assert.equal(await adapter.getUsageCache({ text: true }), await file('usage-cache.json'));
      const provider = await adapter.getProvider(KIRO, ONE);
      assert.deepEqual(provider, (await adapter.getProviderPool(KIRO))[0]);
      assert.deepEqual(await adapter.getToken(KIRO, ONE), JSON.parse(await readFile(path.join(fixture, provider.KIRO_OAUTH_CREDS_FILE_PATH), 'utf8')));
    });

    test('over the unix socket of the service', async () => {
      assert.ok((await stat(service.socket)).isSocket());
      const local = service.adapter({ url: undefined, socketPath: service.socket });
      assert.equal((await local.getMetadata()).backend, store);
      assert.deepEqual(await local.getProviderPools(), await adapter.getProviderPools());
      const was = (await adapter.getProvider(KIRO, OTHER)).usageCount;
      await Promise.all(Array.from({ length: 100 }, () => local.incrementUsage(KIRO, OTHER)));
      assert.equal((await local.getProvider(KIRO, OTHER)).usageCount, was + 100);
      const name = 'a b-ü%.json';
      await local.setDocument(name, '{"n":1.0}');
      assert.equal(await adapter.getDocument(name, { text: true }), '{"n":1.0}');
      assert.equal(await local.deleteDocument(name), true);
      await assert.rejects(local.incrementUsage(KIRO, 'nobody'), { code: 'not-found', status: 404, mayHaveBeenApplied: false });
      await assert.rejects(service.adapter({ url: undefined, socketPath: service.socket, apiKey: 'FAKE-wrong-key-0123456789' }).getConfig(), { code: 'unauthorized' });
      await assert.rejects(service.adapter({ url: undefined, socketPath: `${service.socket}.none` }).incrementUsage(KIRO, OTHER), { code: 'unavailable', mayHaveBeenApplied: false });
    });

    test('what is not there is null', async () => {
      assert.equal(await adapter.getProvider(KIRO, 'nobody'), null);
      assert.equal(await adapter.getProviderPool('no-type'), null);
      assert.equal(await adapter.getToken(KIRO, 'nobody'), null);
      assert.equal(await adapter.getDocument('nothing.json'), null);
      assert.equal(await adapter.getSession('nobody'), null);
      assert.equal(await adapter.deleteProvider(KIRO, 'nobody'), false);
      await assert.rejects(adapter.incrementUsage(KIRO, 'nobody'), { name: 'StorageError', code: 'not-found', status: 404, mayHaveBeenApplied: false });
    });

    test('uses of many callers are counted once each', async () => {
      const was = (await adapter.getProvider(KIRO, ONE)).usageCount;
      const answers = await Promise.all(Array.from({ length: 500 }, (_, i) => adapter.incrementUsage(KIRO, ONE, 1 + (i % 2))));
      assert.equal(new Set(answers.map((a) => a.usageCount)).size, 500);
      assert.ok(answers.every((a) => a.status === 'applied'));
      const now = await adapter.getProvider(KIRO, ONE);
      assert.equal(now.usageCount, was + 750);
      assert.ok(Date.parse(now.lastUsed) > Date.now() - 60_000);
    });

    test('counters beyond 2^53 are exact', async () => {
      const { id } = await adapter.addProvider('big', '{"usageCount":9007199254740993,"keep":[9007199254740993,1.0]}');
      assert.equal((await adapter.incrementUsage('big', id)).usageCount, 9007199254740994n);
      assert.match(await adapter.getProvider('big', id, { text: true }), /"usageCount":9007199254740994\b.*\[9007199254740993,1\.0\]/);
      await adapter.updateProvider('big', id, { customName: 'x' });
      assert.match(await adapter.getProvider('big', id, { text: true }), /"keep":\[9007199254740993,1\.0\].*"customName":"x"/);
      assert.equal(await adapter.deleteProviderPool('big'), true);
    });

    test('errors and health', async () => {
      const first = await adapter.incrementError(KIRO, OTHER, '429 from upstream');
      assert.equal((await adapter.incrementError(KIRO, OTHER, { message: 'again' })).errorCount, first.errorCount + 1);
      assert.equal((await adapter.getProvider(KIRO, OTHER)).lastErrorMessage, 'again');
      const recoverAt = new Date(Date.now() + 3_600_000);
      assert.equal((await adapter.incrementError(KIRO, OTHER, { recoverAt })).isHealthy, false);
      assert.equal((await adapter.getProvider(KIRO, OTHER)).scheduledRecoveryTime, recoverAt.toISOString());
      assert.equal((await adapter.updateHealthStatus(KIRO, OTHER, true, { model: 'm' })).isHealthy, true);
      assert.equal((await adapter.getProvider(KIRO, OTHER)).lastHealthCheckModel, 'm');
      assert.equal((await adapter.updateHealthStatus(KIRO, OTHER, false, { message: 'no' })).isHealthy, false);
      assert.equal((await adapter.resetProvider(KIRO, OTHER, { usage: true })).usageCount, 0);
      await assert.rejects(adapter.incrementError(KIRO, OTHER, { wrong: 1 }), { code: 'invalid', message: /wrong/ });
    });

    test('an update changes what it names', async () => {
      const was = await adapter.getProvider(KIRO, ONE);
      await adapter.updateProvider(KIRO, ONE, { customName: 'renamed', isDisabled: true, added: { n: [null] } });
      await adapter.updateProvider(KIRO, ONE, { added: undefined, checkModelName: null });
      const now = await adapter.getProvider(KIRO, ONE);
      assert.deepEqual(now, { ...was, customName: 'renamed', isDisabled: true, checkModelName: null });
      // A gateway that passes back all that it has read changes nothing else.
      await adapter.updateProvider(KIRO, ONE, { ...now, isDisabled: false });
      assert.deepEqual(await adapter.getProvider(KIRO, ONE), { ...now, isDisabled: false });
      await assert.rejects(adapter.updateProvider(KIRO, ONE, { usageCount: 1 }), { code: 'invalid', hint: /incrementUsage/ });
      await assert.rejects(adapter.updateProvider(KIRO, ONE, { uuid: 'x' }), { code: 'invalid', hint: /renameProvider/ });
    });

    test('updates of many callers are all there', async () => {
      await Promise.all(Array.from({ length: 8 }, (_, i) => adapter.updateProvider(KIRO, ONE, { [`field${i}`]: i })));
      const now = await adapter.getProvider(KIRO, ONE);
      for (let i = 0; i < 8; i++) assert.equal(now[`field${i}`], i);
    });

    test('providers come, go and move', async () => {
      const { id } = await adapter.addProvider('', { customName: 'new' });
      assert.match(id, /^[0-9a-f-]{36}$/);
      assert.equal((await adapter.renameProvider('', id, 'a/b ~é')).id, 'a/b ~é');
      assert.equal((await adapter.getProvider('', 'a/b ~é')).customName, 'new');
      assert.equal((await adapter.getProvider('', id)).uuid, 'a/b ~é');
      assert.equal(await adapter.deleteProvider('', 'a/b ~é'), true);
      await assert.rejects(adapter.addProvider(KIRO, { uuid: ONE }), { code: 'exists', status: 409 });
    });

    test('a pool is replaced, and what stays keeps its bytes and its state', async () => {
      const definition = (id) => `{ "uuid": "${id}", "n": 9007199254740993, "x": 1.0 }`;
      const nameless = '{ "name": "no uuid", "n": 1.50 }';
      await adapter.setProviderPool('p', `[${definition('a')},${nameless},${definition('b')}]`);
      await adapter.incrementUsage('p', 'b', 7);
      const pool = await adapter.getProviderPool('p');
      assert.match(pool[1]._id, /^~/);
      await adapter.setProviderPool('p', [pool[2], { uuid: 'c', usageCount: 3 }, pool[1], { ...pool[0], x: 2 }]);
      const now = await adapter.getProviderPool('p');
      assert.deepEqual(now.map((p) => p.uuid ?? p._id), ['b', 'c', pool[1]._id, 'a']);
      assert.deepEqual(now.map((p) => p.usageCount), [7, 3, undefined, undefined]);
      const text = await adapter.getProviderPool('p', { text: true });
      for (const part of ['"n": 9007199254740993, "x": 1.0', '"n": 1.50', '"n": 9007199254740993, "x": 2']) assert.ok(text.includes(part), text);
      await adapter.setProviderPool('p', now);
      assert.deepEqual(await adapter.getProviderPool('p'), now);
      await assert.rejects(adapter.setProviderPool('p', [{ uuid: 'a' }, 7]), { code: 'invalid' });
      assert.deepEqual(await adapter.getProviderPool('p'), now);
      assert.equal(await adapter.deleteProviderPool('p'), true);
    });

    test('the configuration keeps its bytes where it was not changed', async () => {
      const text = await adapter.getConfig({ text: true });
      await adapter.setConfig(text.replace('"SERVER_PORT": 3000', '"SERVER_PORT": 3000.0'));
      const config = await adapter.getConfig();
      await adapter.setConfig({ ...config, LOG_LEVEL: 'debug' });
      const now = await adapter.getConfig({ text: true });
      assert.ok(now.includes('"SERVER_PORT": 3000.0'), now);
      assert.equal(now.replace('3000.0', '3000').replace('"LOG_LEVEL": "debug"', '"LOG_LEVEL": "info"'), text);
      await assert.rejects(adapter.setConfig('[]'), { code: 'invalid' });
      await assert.rejects(adapter.setConfig(undefined), { code: 'invalid' });
      await assert.rejects(adapter.setConfig({ a: NaN }), { code: 'invalid', message: /number/ });
      assert.equal(await adapter.getConfig({ text: true }), now);
    });

    test('documents', async () => {
      await adapter.setPlugins({ plugins: { a: { enabled: true } } });
      assert.deepEqual(await adapter.getPlugins(), { plugins: { a: { enabled: true } } });
      await adapter.setUsageCache({ at: 1 });
      assert.deepEqual(await adapter.getUsageCache(), { at: 1 });
      await adapter.setDocument('mine.json', '[ 1.0 ]');
      assert.equal(await adapter.getDocument('mine.json', { text: true }), '[ 1.0 ]');
      assert.equal(await adapter.deleteDocument('mine.json'), true);
      assert.equal(await adapter.deleteDocument('mine.json'), false);
    });

    test('two refreshes of one token are kept apart', async () => {
      const token = await adapter.getToken(KIRO, ONE);
      const ifMatch = adapter.etagOf(token);
      await adapter.setToken(KIRO, ONE, { ...token, refreshToken: 'FAKE-2' }, { ifMatch });
      await assert.rejects(adapter.setToken(KIRO, ONE, { ...token, refreshToken: 'FAKE-3' }, { ifMatch }), { code: 'conflict', status: 412 });
      assert.deepEqual(await adapter.getToken(KIRO, ONE), { ...token, refreshToken: 'FAKE-2' });
      const { id } = await adapter.addProvider(KIRO, {});
      await adapter.setToken(KIRO, id, { accessToken: 'FAKE' });
      assert.deepEqual(await adapter.getToken(KIRO, id), { accessToken: 'FAKE' });
      assert.equal(await adapter.deleteToken(KIRO, id), true);
      assert.equal(await adapter.getToken(KIRO, id), null);
    });

    test('the password is verified, never read', async () => {
      await assert.rejects(adapter.getPassword(), { code: 'forbidden', hint: /verifyPassword/ });
      assert.equal(await adapter.verifyPassword('admin123'), false);
      await adapter.setPassword('correct horse battery');
      assert.equal(await adapter.verifyPassword('correct horse battery'), true);
      assert.equal(await adapter.verifyPassword('wrong'), false);
      for (let n = 0; n < 10; n++) assert.equal(await adapter.verifyPassword('wrong', { client: '203.0.113.7' }), false);
      await assert.rejects(adapter.verifyPassword('correct horse battery', { client: '203.0.113.7' }), { code: 'forbidden', status: 429 });
      assert.equal(await adapter.verifyPassword('correct horse battery', { client: '203.0.113.8' }), true);
      await assert.rejects(adapter.setPassword('short'), { code: 'invalid' });
    });

    test('sessions end', async () => {
      const bearer = 'FAKE/bearer é';
      await adapter.setSession(bearer, { username: 'admin', expiryTime: Date.now() + 60_000 });
      assert.equal((await adapter.getSession(bearer)).username, 'admin');
      await assert.rejects(adapter.setSession(bearer, {}, Date.now() - 1), { code: 'invalid', message: /past/ });
      await assert.rejects(adapter.setSession('', {}), { code: 'invalid' });
      assert.equal(await adapter.deleteSession(bearer), true);
      assert.equal(await adapter.getSession(bearer), null);
      assert.ok(!service.output().includes('FAKE/bearer') && !service.output().includes('FAKE%2F'), 'a bearer is in the log');
    });

    test('a closed adapter says so', async () => {
      const own = service.adapter();
      await own.getConfig();
      await own.close();
      await assert.rejects(own.getConfig(), { code: 'closed' });
    });
  });
}
