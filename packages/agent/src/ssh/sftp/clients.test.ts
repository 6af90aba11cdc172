import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { accessSync, constants, existsSync, readdirSync, readlinkSync } from 'node:fs';
import {
  appendFile,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import ssh2, { type SFTPWrapper } from 'ssh2';
import { folder, run, sftpServer, type TestServer } from './testing-sftp.ts';

async function connect(server: TestServer): Promise<{ sftp: SFTPWrapper; end: () => void }> {
  const client = new ssh2.Client();
  client.connect({
    host: '127.0.0.1',
    port: server.port,
    username: 'anybody',
    privateKey: server.privateKey,
  });
  await new Promise((resolve, reject) =>
    client.once('ready', () => resolve(1)).once('error', reject),
  );
  const sftp = await new Promise<SFTPWrapper>((resolve, reject) => {
    client.sftp((error, found) => (error === undefined ? resolve(found) : reject(error)));
  });
  return { sftp, end: () => void client.end() };
}

describe("ssh2's client", () => {
  it('copies in parallel, reads at offsets, and gets sentences for faults', async (t) => {
    const [home, local] = [await folder(t), await folder(t)];
    const { sftp, end } = await connect(await sftpServer(t, home));
    t.after(end);
    const data = randomBytes(5_000_003);
    await writeFile(join(local, 'in'), data);
    await new Promise<void>((resolve, reject) => {
      sftp.fastPut(join(local, 'in'), 'file', { concurrency: 64, chunkSize: 30_000 }, (error) =>
        error === undefined || error === null ? resolve() : reject(error),
      );
    });
    assert.ok((await readFile(join(home, 'file'))).equals(data));
    await new Promise<void>((resolve, reject) => {
      sftp.fastGet('file', join(local, 'out'), (error) =>
        error === undefined || error === null ? resolve() : reject(error),
      );
    });
    assert.ok((await readFile(join(local, 'out'))).equals(data));
    const middle: Buffer[] = [];
    for await (const chunk of sftp.createReadStream('file', { start: 4_000_000, end: 4_100_000 })) {
      middle.push(chunk as Buffer);
    }
    assert.ok(Buffer.concat(middle).equals(data.subarray(4_000_000, 4_100_001)));
    await assert.rejects(promisify(sftp.stat.bind(sftp))('none'), /No such file or directory\./);
    await mkdir(join(home, 'full/inner'), { recursive: true });
    await assert.rejects(promisify(sftp.rmdir.bind(sftp))('full'), /Directory not empty\./);
    await assert.rejects(promisify(sftp.mkdir.bind(sftp))('full'), /File already exists\./);
    await promisify(sftp.ext_openssh_rename.bind(sftp))('file', 'full/file');
    assert.equal((await stat(join(home, 'full/file'))).size, data.length);
  });

  it('leaves no file open when it vanishes in the middle', async (t) => {
    const home = await folder(t);
    await writeFile(join(home, 'file'), randomBytes(1_000_000));
    const { sftp, end } = await connect(await sftpServer(t, home));
    await promisify(sftp.open.bind(sftp) as (path: string, mode: 'r') => void)('file', 'r');
    const isOpen = (): boolean => openFiles().includes(join(home, 'file'));
    assert.ok(isOpen());
    end();
    for (let i = 0; isOpen(); i++) {
      assert.ok(i < 100, 'the file is still open');
      await delay(20);
    }
  });
});

function openFiles(): string[] {
  return readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return 'closed since it was listed';
    }
  });
}

const whyNoSshfs = (): string | false => {
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
  } catch {
    return 'needs /dev/fuse';
  }
  const found = (process.env['PATH'] ?? '')
    .split(':')
    .some((dir) => existsSync(join(dir, 'sshfs')));
  return found ? false : 'needs sshfs (apt-get install sshfs)';
};

describe('sshfs', { skip: whyNoSshfs() }, () => {
  it('mounts a home: files, links, renames, appends, truncates, free space', async (t) => {
    const [home, mount] = [await folder(t), await folder(t)];
    const server = await sftpServer(t, home);
    const child = spawn('sshfs', [...server.options.slice(2), '-f', '127.0.0.1:', mount], {
      stdio: 'ignore',
    });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    try {
      const device = (await stat(home)).dev;
      for (let i = 0; (await stat(mount)).dev === device; i++) {
        assert.ok(i < 250, 'sshfs did not mount within 5 s');
        await delay(20);
      }
      const data = randomBytes(2_345_678);
      await mkdir(join(mount, 'a'));
      await writeFile(join(mount, 'a/file'), data);
      assert.ok((await readFile(join(home, 'a/file'))).equals(data));
      await appendFile(join(mount, 'a/file'), 'more');
      assert.equal((await stat(join(home, 'a/file'))).size, data.length + 4);
      await truncate(join(mount, 'a/file'), 1000);
      await writeFile(join(mount, 'a/other'), 'other');
      await rename(join(mount, 'a/other'), join(mount, 'a/file'));
      assert.equal(await readFile(join(mount, 'a/file'), 'utf8'), 'other');
      await symlink('file', join(mount, 'a/link'));
      assert.equal(await readFile(join(mount, 'a/link'), 'utf8'), 'other');
      const file = await open(join(mount, 'a/file'), 'r+');
      await file.write('OT', 0);
      await file.sync();
      await file.close();
      assert.equal(await readFile(join(home, 'a/file'), 'utf8'), 'OTher');
      assert.deepEqual((await readdir(join(mount, 'a'))).sort(), ['file', 'link']);
      assert.equal((await run('df', ['-P', mount])).code, 0);
    } finally {
      await run('umount', [mount]);
      await ended;
    }
  });
});
