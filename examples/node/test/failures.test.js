// What the adapter says where the service cannot be asked.
import assert from 'node:assert/strict';
import net from 'node:net';
import path from 'node:path';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { createStorageAdapter, StorageError } from '../src/index.js';
import { startService } from './service.js';

const KIRO = 'claude-kiro-oauth';
const ONE = 'ab226ca1-2651-430f-a1f0-85aa0228e36e';

/** Listens, and hands each connection to `serve`. */
async function listen(where, serve) {
  const open = new Set();
  const server = net.createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
    serve(socket);
  });
  await new Promise((resolve) => server.listen(where, resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    connections: () => open.size,
    close: () => {
      open.forEach((s) => s.destroy());
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

describe('failures', () => {
  let service;
  let dir;
  before(async () => {
    service = await startService('redis');
    dir = await mkdtemp(path.join(tmpdir(), 'poolkeeper-node-'));
  });
  after(async () => {
    await service.stop();
    await rm(dir, { recursive: true });
  });

  const forward = (socket) => {
    const to = net.connect(Number(new URL(service.config.url).port), '127.0.0.1');
    to.on('error', () => socket.destroy());
    to.on('close', () => socket.destroy());
    socket.on('close', () => to.destroy());
    socket.pipe(to).pipe(socket);
  };

  test('over a unix socket, on connections that are kept', async () => {
    let accepted = 0;
    const socketPath = path.join(dir, 's');
    const proxy = await listen(socketPath, (socket) => {
      accepted++;
      forward(socket);
    });
    const adapter = service.adapter({ url: undefined, socketPath });
    for (let i = 0; i < 20; i++) await adapter.incrementUsage(KIRO, ONE);
    assert.equal(accepted, 1);
    await adapter.close();
    await proxy.close();
  });

  test('a wrong key', async () => {
    await assert.rejects(service.adapter({ apiKey: 'FAKE-wrong-key-0123456789' }).getConfig(), (err) => {
      assert.ok(err instanceof StorageError);
      assert.equal(err.code, 'unauthorized');
      assert.equal(err.status, 401);
      assert.ok(!JSON.stringify([err.message, err.hint]).includes('FAKE'));
      return true;
    });
  });

  test('nobody listens: surely not applied', async () => {
    const gone = await listen(0, () => {});
    await gone.close();
    await assert.rejects(service.adapter({ url: gone.url }).incrementUsage(KIRO, ONE), { code: 'unavailable', status: 0, mayHaveBeenApplied: false });
  });

  test('the answer is lost: it may have been applied, and was, once', async () => {
    const was = (await service.adapter().getProvider(KIRO, ONE)).usageCount;
    const proxy = await listen(0, (socket) => {
      const to = net.connect(Number(new URL(service.config.url).port), '127.0.0.1');
      socket.pipe(to);
      to.once('data', () => {
        socket.destroy(); // after the service has answered
        to.destroy();
      });
    });
    const adapter = service.adapter({ url: proxy.url });
    await assert.rejects(adapter.incrementUsage(KIRO, ONE), { code: 'indeterminate', mayHaveBeenApplied: true });
    await assert.rejects(adapter.getConfig(), { code: 'unavailable', mayHaveBeenApplied: false });
    await proxy.close();
    assert.equal((await service.adapter().getProvider(KIRO, ONE)).usageCount, was + 1);
  });

  test('the answer is lost once: the increment is sent again, and counted once', async () => {
    const was = (await service.adapter().getProvider(KIRO, ONE)).usageCount;
    let lost = 0;
    const proxy = await listen(0, (socket) => {
      const to = net.connect(Number(new URL(service.config.url).port), '127.0.0.1');
      socket.on('error', () => {});
      socket.pipe(to);
      to.once('data', (answer) => {
        if (lost++ > 0) socket.write(answer);
        else {
          socket.destroy(); // after the service has answered
          to.destroy();
        }
      });
    });
    const adapter = service.adapter({ url: proxy.url });
    assert.equal((await adapter.incrementUsage(KIRO, ONE)).usageCount, was + 1);
    assert.equal(lost, 2);
    await adapter.close();
    await proxy.close();
    assert.equal((await service.adapter().getProvider(KIRO, ONE)).usageCount, was + 1);
  });

  test('the answer to an error is lost: it is in doubt, is not sent again, and was counted once', async () => {
    const [type, id] = [KIRO, 'd429f005-0350-43df-a56b-f480c68f4d39'];
    await service.adapter().resetProvider(type, id);
    let sent = 0;
    const proxy = await listen(0, (socket) => {
      const to = net.connect(Number(new URL(service.config.url).port), '127.0.0.1');
      socket.on('error', () => {});
      socket.on('data', (data) => (sent += data.toString('latin1').split('POST ').length - 1));
      socket.pipe(to);
      to.once('data', () => {
        socket.destroy(); // after the service has answered
        to.destroy();
      });
    });
    const adapter = service.adapter({ url: proxy.url });
    await assert.rejects(adapter.incrementError(type, id, '429 from upstream'), { code: 'indeterminate', status: 0, mayHaveBeenApplied: true });
    await adapter.close();
    await proxy.close();
    assert.equal(sent, 1);
    assert.equal((await service.adapter().getProvider(type, id)).errorCount, 1);
  });

  test('the answer is lost, and then nobody listens: it may have been applied', async () => {
    const was = (await service.adapter().getProvider(KIRO, ONE)).usageCount;
    let gone;
    const proxy = await listen(0, (socket) => {
      const to = net.connect(Number(new URL(service.config.url).port), '127.0.0.1');
      socket.on('error', () => {});
      socket.pipe(to);
      to.once('data', () => {
        gone = proxy.close();
        socket.destroy();
        to.destroy();
      });
    });
    await assert.rejects(service.adapter({ url: proxy.url }).incrementUsage(KIRO, ONE), { code: 'indeterminate', mayHaveBeenApplied: true });
    await gone;
    assert.equal((await service.adapter().getProvider(KIRO, ONE)).usageCount, was + 1);
  });

  test('no answer in time', async () => {
    const proxy = await listen(0, () => {});
    const adapter = service.adapter({ url: proxy.url, timeout: 50 });
    await assert.rejects(adapter.incrementUsage(KIRO, ONE), { code: 'timeout', mayHaveBeenApplied: true });
    await assert.rejects(adapter.getConfig(), { code: 'unavailable' });
    await proxy.close();
  });

  test('a read goes on where a kept connection has died', async () => {
    const sockets = [];
    const proxy = await listen(0, (socket) => {
      sockets.push(socket);
      forward(socket);
    });
    const adapter = service.adapter({ url: proxy.url });
    await adapter.getConfig();
    const read = adapter.getConfig(); // is given the kept connection, which is reset under it
    sockets[0].resetAndDestroy();
    assert.ok(await read);
    await adapter.close();
    await proxy.close();
  });

  test('an answer that is not of the service', async () => {
    const page = '<html>Bad Gateway</html>';
    const proxy = await listen(0, (socket) => socket.once('data', () => socket.end(`HTTP/1.1 502 Bad Gateway\r\nContent-Length: ${page.length}\r\n\r\n${page}`)));
    await assert.rejects(service.adapter({ url: proxy.url }).incrementUsage(KIRO, ONE), { code: 'indeterminate', status: 502 });
    await proxy.close();
  });

  test('settings that cannot be', async () => {
    for (const poolkeeper of [{}, { apiKey: 'k'.repeat(16), url: 'ftp://x' }, { apiKey: 'k', url: 'http://u:FAKE@x' }, { apiKey: 'k', timeout: 'soon' }, { apiKeyFile: path.join(dir, 'none') }]) {
      assert.throws(() => createStorageAdapter({ poolkeeper }), (err) => err.code === 'invalid' && err.hint !== '' && !err.message.includes('FAKE'));
    }
    await writeFile(path.join(dir, 'key'), `${service.config.apiKey}\n`);
    assert.ok(await service.adapter({ apiKey: undefined, apiKeyFile: path.join(dir, 'key') }).getConfig());
  });

  // The last one: it takes the store away.
  test('Redis is away: who is let in is as it was last known, what can wait is queued, and the rest is refused', async () => {
    const adapter = service.adapter();
    await adapter.setPassword('as it was last known');
    await service.stopRedis();
    assert.equal(await adapter.verifyPassword('as it was last known'), true);
    for (const wrong of ['', 'admin123', 'as it was last']) assert.equal(await adapter.verifyPassword(wrong), false);
    assert.equal(await adapter.getSession('x'), null);
    const queued = await adapter.incrementUsage(KIRO, ONE);
    assert.equal(queued.status, 'queued');
    assert.equal('usageCount' in queued, false); // nobody knows it yet
    const before = (await adapter.getProvider(KIRO, ONE)).usageCount;
    assert.equal((await adapter.incrementUsage(KIRO, ONE, 3)).status, 'queued');
    assert.equal((await adapter.getProvider(KIRO, ONE)).usageCount, before + 3);
    const added = await adapter.addProvider(KIRO, { customName: 'added at night' });
    assert.equal(added.status, 'queued');
    assert.equal((await adapter.getProvider(KIRO, added.id)).customName, 'added at night');
    await assert.rejects(adapter.setPassword('another one, later'), (err) => err.code === 'unavailable');
  });
});
