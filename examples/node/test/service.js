// Starts the real service, on a copy of the sample directory itself or on a
// redis-server of its own. What is missing is a failure, never a skip.
import { spawn, execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { cp, mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { createStorageAdapter } from '../src/index.js';

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '../../..');

export const fixture = path.join(root, 'testdata/fixtures/typical');

let built;

/** Builds cmd/poolkeeper once. */
async function build() {
  built ??= (async () => {
    const bin = path.join(await temporary(), 'poolkeeper');
    await run('go', ['build', '-o', bin, './cmd/poolkeeper'], { cwd: root });
    return bin;
  })();
  return built;
}

const leftovers = [];
const directories = [];
process.on('exit', () => {
  leftovers.forEach((child) => child.kill('SIGKILL'));
  directories.forEach((dir) => rmSync(dir, { recursive: true, force: true }));
});
process.on('SIGTERM', () => process.exit(1)); // a test that took too long

async function temporary() {
  const dir = await mkdtemp(path.join(tmpdir(), 'poolkeeper-node-'));
  directories.push(dir);
  return dir;
}

/** Starts a process and waits until its output has what it is to say. */
async function begin(command, args, env, said) {
  const child = spawn(command, args, { env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  leftovers.push(child);
  let [out, results] = ['', ''];
  const ended = new Promise((resolve) => child.on('close', resolve));
  const ready = await new Promise((resolve, reject) => {
    child.on('error', (err) => reject(new Error(`${command} cannot be started (${err.code}); see scripts/require-redis`)));
    child.on('close', (code) => reject(new Error(`${command} ended with ${code}:\n${out}`)));
    child.stdout.on('data', (data) => {
      out += data;
      results += data;
      try {
        const found = said(results);
        if (found) resolve(found);
      } catch (err) {
        reject(err);
      }
    });
    child.stderr.on('data', (data) => (out += data));
  });
  const stop = async (signal = 'SIGTERM') => {
    child.kill(signal);
    return ended;
  };
  return { ready, stop, output: () => out };
}

/** Starts the service over a store: `file` or `redis`. */
export async function startService(store) {
  const dir = await temporary();
  const socket = path.join(dir, 'redis.sock');
  await cp(fixture, path.join(dir, 'typical'), { recursive: true });
  const env = {
    POOLKEEPER_CONFIG_DIR: path.join(dir, 'typical/configs'),
    POOLKEEPER_STATE_DIR: path.join(dir, 'state'),
    POOLKEEPER_LOG_LEVEL: 'debug',
  };
  const bin = await build();
  let redis;
  if (store === 'redis') {
    redis = await begin('redis-server', ['--port', '0', '--unixsocket', socket, '--save', '', '--dir', dir], {}, (out) => out.includes('eady to accept connections'));
    env.REDIS_URL = `unix://${socket}`;
    await run(bin, ['import'], { env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env } });
  }
  const service = await begin(bin, ['serve', '--addr', '127.0.0.1:0', '--json'], env, (out) => /^\}$/m.test(out) && JSON.parse(out));
  const config = { url: service.ready.url, apiKey: (await readFile(service.ready.keyFile, 'utf8')).trim() };
  const adapters = [];
  return {
    config,
    socket: service.ready.socket,
    env,
    output: service.output,
    adapter: (more = {}) => {
      const adapter = createStorageAdapter({ poolkeeper: { ...config, ...more } });
      adapters.push(adapter);
      return adapter;
    },
    command: (...args) => run(bin, args, { env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env } }),
    stopRedis: () => redis.stop('SIGKILL'),
    stop: async () => {
      await Promise.all(adapters.map((a) => a.close()));
      const code = await service.stop();
      await redis?.stop();
      return code;
    },
  };
}
