import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readlinkSync } from 'node:fs';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { describe, it } from 'node:test';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import { MAX_HANDLES } from './handles.ts';
import { encode, MAX_DATA, packet, REPLY, REQUEST as R, STATUS, type Field } from './protocol.ts';
import { serveSftp } from './serve.ts';
import { ours, oursOn, type RawReply } from './testing-raw.ts';
import { folder } from './testing-sftp.ts';

const NONE: Field = { raw: encode([0]) };
const [READ, WRITE, APPEND, CREAT] = [1, 2, 4, 8];

const handleOf = ({ type, fields }: RawReply): Buffer => {
  assert.equal(type, REPLY.HANDLE);
  return fields.string();
};
const statusOf = ({ type, fields }: RawReply): number => {
  assert.equal(type, REPLY.STATUS);
  return fields.uint32();
};

/** Open files of this process below a folder. */
const openBelow = (path: string): string[] =>
  readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return target.startsWith(path) ? [target] : [];
    } catch {
      return [];
    }
  });

async function until(what: () => boolean): Promise<void> {
  for (const end = performance.now() + 5_000; !what(); await delay(10)) {
    assert.ok(performance.now() < end, 'it did not happen within 5 s');
  }
}

describe('requests sent without waiting', () => {
  it('come out as if one had waited for each', async (t) => {
    const home = await folder(t);
    const client = ours(t, home);
    await client.begin();
    const one = handleOf(await client.request(R.OPEN, 'file', READ | WRITE | CREAT, NONE));
    const two = handleOf(await client.request(R.OPEN, 'file', READ | WRITE, NONE));
    const replies: Promise<RawReply>[] = [];
    for (let i = 0; i < 200; i++) {
      const handle = i % 3 === 0 ? one : two;
      replies.push(client.request(R.WRITE, handle, 0n, `number ${String(i).padStart(4, '0')}`));
      replies.push(client.request(R.READ, i % 2 === 0 ? one : two, 7n, 4));
      replies.push(client.request(R.STAT, 'file'));
    }
    replies.push(client.request(R.RENAME, 'file', 'other'), client.request(R.CLOSE, one));
    const late = client.request(R.READ, one, 0n, 1);
    const all = await Promise.all(replies);
    for (let i = 0; i < 200; i++) {
      const read = all[i * 3 + 1];
      assert.equal(read?.fields.string().toString(), String(i).padStart(4, '0'));
    }
    assert.equal(statusOf(await late), STATUS.FAILURE);
    assert.equal((await stat(join(home, 'other'))).size, 11);
  });

  it('are replied in their order, however long each takes', async (t) => {
    const home = await folder(t);
    await writeFile(join(home, 'file'), randomBytes(4_000_000));
    const client = ours(t, home);
    await client.begin();
    const file = handleOf(await client.request(R.OPEN, 'file', READ, NONE));
    const order: number[] = [];
    // Large ones take longer than what comes after them.
    const all = Array.from({ length: 100 }, (_, i) =>
      client
        .request(R.READ, file, BigInt(i * 1_000), i % 4 === 0 ? MAX_DATA : 1)
        .then(() => order.push(i)),
    );
    await Promise.all(all);
    assert.deepEqual(
      order,
      all.map((_, i) => i),
    );
  });

  it('write and append large data in order, at any cut of the stream', async (t) => {
    const home = await folder(t);
    const client = ours(t, home);
    await client.begin();
    const file = handleOf(await client.request(R.OPEN, 'file', WRITE | CREAT, NONE));
    const tail = handleOf(await client.request(R.OPEN, 'log', WRITE | APPEND | CREAT, NONE));
    const data = randomBytes(3_000_000);
    const packets: Buffer[] = [];
    for (let at = 0, id = 1000; at < data.length; at += 100_000) {
      const part = data.subarray(at, at + 100_000);
      packets.push(packet(R.WRITE, id++, file, BigInt(at), part));
      packets.push(packet(R.WRITE, id++, tail, BigInt(at), part));
    }
    const stream = Buffer.concat(packets);
    for (let at = 0, size = 1; at < stream.length; at += size, size = (size * 7) % 65_521) {
      client.stream.write(stream.subarray(at, at + size));
      if (size % 5 === 0) await turn();
    }
    await client.request(R.CLOSE, tail);
    await client.request(R.CLOSE, file);
    assert.ok((await readFile(join(home, 'file'))).equals(data));
    assert.ok((await readFile(join(home, 'log'))).equals(data));
  });
});

describe('limits of a session', () => {
  it('are told, and hold for open files', async (t) => {
    const home = await folder(t);
    await writeFile(join(home, 'file'), 'x');
    const client = ours(t, home);
    await client.begin();
    const { fields } = await client.request(R.EXTENDED, 'limits@openssh.com');
    assert.deepEqual(
      [fields.uint64(), fields.uint64(), fields.uint64(), fields.uint64()],
      [256n * 1024n, BigInt(MAX_DATA), BigInt(MAX_DATA), BigInt(MAX_HANDLES)],
    );
    const opened = await Promise.all(
      Array.from({ length: MAX_HANDLES + 5 }, () => client.request(R.OPEN, 'file', READ, NONE)),
    );
    assert.equal(opened.filter(({ type }) => type === REPLY.HANDLE).length, MAX_HANDLES);
    assert.equal(openBelow(home).length, MAX_HANDLES);
    client.stream.destroy();
    await until(() => openBelow(home).length === 0);
  });

  it('hold the client back when it does not read', async (t) => {
    const home = await folder(t);
    await writeFile(join(home, 'file'), Buffer.alloc(MAX_DATA));
    const client = ours(t, home);
    await client.begin();
    const file = handleOf(await client.request(R.OPEN, 'file', READ, NONE));
    client.stream.pause();
    const before = process.memoryUsage().arrayBuffers;
    let sent = 0;
    for (; sent < 20_000 && client.stream.write(packet(R.READ, sent, file, 0n, MAX_DATA)); sent++) {
      if (sent % 50 === 0) await turn();
    }
    await delay(50);
    assert.ok(sent < 20_000, 'the client was held back');
    const grown = process.memoryUsage().arrayBuffers - before;
    assert.ok(grown < 64 * 1024 * 1024, `${grown} bytes more are in use`);
  });
});

describe('the end of a session', () => {
  it('closes what is open and ends the channel, with status 0, when the client ends', async (t) => {
    const home = await folder(t);
    await mkdir(join(home, 'folder'));
    const [received, statuses]: [Buffer[], number[]] = [[], []];
    let toServer: (data: Buffer | null) => void = () => {};
    const channel = Object.assign(
      new Duplex({
        read: () => {},
        write: (data: Buffer, _encoding, done) => {
          received.push(data);
          setImmediate(done);
        },
      }),
      { exit: (code: number) => void statuses.push(code) },
    );
    toServer = (data) => void channel.push(data);
    const finished = new Promise((resolve) => channel.once('finish', resolve));
    serveSftp(channel, { home, signal: new AbortController().signal });
    toServer(packet(R.INIT, 3));
    toServer(packet(R.OPENDIR, 1, 'folder'));
    toServer(packet(R.OPEN, 2, 'file', WRITE | CREAT, NONE));
    toServer(packet(R.WRITE, 3, Buffer.from([0, 0, 0, 2]), 0n, 'last words'));
    toServer(null);
    await finished;
    assert.deepEqual(statuses, [0]);
    assert.equal(received.length, 4);
    assert.equal(await readFile(join(home, 'file'), 'utf8'), 'last words');
    await until(() => openBelow(home).length === 0);
  });

  it('comes at once for a client that speaks something else', async (t) => {
    const home = await folder(t);
    for (const nonsense of [
      packet(R.OPEN, 1, 'first', READ, NONE),
      Buffer.from([0xff, 0xff, 0xff, 0xff, 1]),
      Buffer.from([0, 0, 0, 0, 1]),
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    ]) {
      const { client, served } = oursOn(t, home);
      const closed = new Promise((resolve) => served.once('close', resolve));
      client.stream.write(nonsense);
      await closed;
    }
  });

  it('does not come for a request that is cut short or unknown', async (t) => {
    const client = ours(t, await folder(t));
    await client.begin();
    assert.equal(statusOf(await client.request(R.OPEN, 'x')), STATUS.BAD_MESSAGE);
    assert.equal(statusOf(await client.request(R.READ, 'x', 1n)), STATUS.BAD_MESSAGE);
    assert.equal(statusOf(await client.request(R.WRITE, 'x', 1n, 500)), STATUS.BAD_MESSAGE);
    assert.equal(statusOf(await client.request(99, 'x')), STATUS.OP_UNSUPPORTED);
    assert.equal(statusOf(await client.request(R.STAT, 'a\0b')), STATUS.BAD_MESSAGE);
    assert.equal((await client.request(R.STAT, '.')).type, REPLY.ATTRS);
  });
});

describe('what must not stop the agent', () => {
  it('a pipe nobody reads or writes does not block file work', async (t) => {
    const home = await folder(t);
    const { execFileSync } = await import('node:child_process');
    execFileSync('mkfifo', [join(home, 'pipe')]);
    const client = ours(t, home);
    await client.begin();
    const opened = await Promise.all(
      Array.from({ length: 8 }, () => client.request(R.OPEN, 'pipe', READ, NONE)),
    );
    for (const reply of opened) handleOf(reply);
    assert.equal((await client.request(R.OPEN, 'pipe', WRITE, NONE)).type, REPLY.HANDLE);
    assert.equal((await client.request(R.STAT, '.')).type, REPLY.ATTRS);
  });

  it('a folder of 10,000 files is listed whole', async (t) => {
    const home = await folder(t);
    await Promise.all(Array.from({ length: 10_000 }, (_, i) => writeFile(join(home, `f${i}`), '')));
    const client = ours(t, home);
    await client.begin();
    const list = handleOf(await client.request(R.OPENDIR, '.'));
    const names = new Set<string>();
    for (;;) {
      // Two at a time, as some clients ask.
      const replies = await Promise.all([
        client.request(R.READDIR, list),
        client.request(R.READDIR, list),
      ]);
      for (const { type, fields } of replies) {
        if (type !== REPLY.NAME) continue;
        for (let left = fields.uint32(); left > 0; left--) {
          names.add(fields.string().toString());
          fields.string();
          for (let i = 0; i < 8; i++) fields.uint32();
        }
      }
      if (replies.some(({ type }) => type === REPLY.STATUS)) break;
    }
    assert.equal(names.size, 10_002);
  });
});
