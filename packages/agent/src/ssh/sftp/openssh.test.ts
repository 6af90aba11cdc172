import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { folder, run, sftp, sftpServer } from './testing-sftp.ts';

async function sum(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

describe("OpenSSH's own clients", () => {
  it('sftp: puts, gets, lists, renames, links and removes', async (t) => {
    const [home, local] = [await folder(t), await folder(t)];
    const server = await sftpServer(t, home);
    await writeFile(join(local, 'one'), randomBytes(3_000_001), { mode: 0o751 });
    await utimes(join(local, 'one'), 1_600_000_000, 1_600_000_001);
    const { code, stdout, stderr } = await sftp(
      server,
      `pwd
mkdir sub
put -p ${local}/one sub/Grüße
chmod 640 sub/Grüße
ls -la sub
rename sub/Grüße sub/two
symlink two sub/link
ln sub/two sub/hard
get sub/link ${local}/back
df
rm sub/hard
rm sub/link
rm sub/two
rmdir sub
`,
    );
    assert.equal(stderr, '');
    assert.equal(code, 0);
    assert.match(stdout, new RegExp(`Remote working directory: ${home}\n`));
    assert.match(stdout, /-rw-r----- +\S+ \S+ +\S+ +3000001 Sep 13 {2}2020 .*Grüße\n/);
    assert.equal(await sum(join(local, 'back')), await sum(join(local, 'one')));
    assert.deepEqual(await readdir(home), []);
  });

  it('sftp: says what is wrong', async (t) => {
    const home = await folder(t);
    const server = await sftpServer(t, home);
    await mkdir(join(home, 'full/inner'), { recursive: true });
    const wrong = {
      'get missing /dev/null': /not found/,
      'rmdir full': /Failure/,
      'mkdir full': /Failure/,
      'rm full': /Failure|Permission denied/,
    };
    for (const [command, message] of Object.entries(wrong)) {
      const { code, stderr } = await sftp(server, `${command}\n`);
      assert.equal(code, 1);
      assert.match(stderr, message);
    }
  });

  it('sftp: resumes transfers both ways', async (t) => {
    const [home, local] = [await folder(t), await folder(t)];
    const server = await sftpServer(t, home);
    const bytes = randomBytes(2_000_000);
    await writeFile(join(local, 'whole'), bytes);
    await writeFile(join(home, 'part'), bytes.subarray(0, 700_001));
    const up = await sftp(server, `reput ${local}/whole part\n`);
    assert.equal(up.code, 0, up.stderr);
    assert.ok((await readFile(join(home, 'part'))).equals(bytes));
    await writeFile(join(local, 'down'), bytes.subarray(0, 1_234_567));
    const down = await sftp(server, `reget part ${local}/down\n`);
    assert.equal(down.code, 0, down.stderr);
    assert.ok((await readFile(join(local, 'down'))).equals(bytes));
  });

  it('sftp: reads beyond 4 GiB of a sparse file', async (t) => {
    const [home, local] = [await folder(t), await folder(t)];
    const server = await sftpServer(t, home);
    const size = 5 * 1024 ** 3;
    await writeFile(join(home, 'sparse'), 'begin');
    await truncate(join(home, 'sparse'), size);
    const { writeSync, openSync, closeSync } = await import('node:fs');
    const fd = openSync(join(home, 'sparse'), 'r+');
    writeSync(fd, Buffer.from('the end'), 0, 7, size - 7);
    closeSync(fd);
    // A partial local copy, so that only the last mebibyte is fetched.
    await truncate(await touched(join(local, 'sparse')), size - 1024 * 1024);
    const { code, stderr } = await sftp(server, `reget sparse ${local}/sparse\n`);
    assert.equal(code, 0, stderr);
    assert.equal((await stat(join(local, 'sparse'))).size, size);
    const end: Buffer[] = [];
    for await (const chunk of createReadStream(join(local, 'sparse'), { start: size - 7 })) {
      end.push(chunk as Buffer);
    }
    assert.equal(Buffer.concat(end).toString(), 'the end');
  });

  it('scp: copies a tree both ways, times and modes kept', async (t) => {
    const [home, local] = [await folder(t), await folder(t)];
    const server = await sftpServer(t, home);
    await mkdir(join(local, 'tree/a/b'), { recursive: true });
    for (let i = 0; i < 50; i++) {
      await writeFile(join(local, `tree/a/b/${i}`), randomBytes(i * 1000), { mode: 0o600 });
    }
    await utimes(join(local, 'tree/a/b/7'), 1_000_000_000, 1_000_000_000);
    const scp = (...args: string[]): Promise<{ code: number | null; stderr: string }> =>
      run('scp', [...server.options, '-s', '-rp', ...args]);
    const up = await scp(join(local, 'tree'), '127.0.0.1:up');
    assert.equal(up.code, 0, up.stderr);
    const down = await scp('127.0.0.1:up', join(local, 'down'));
    assert.equal(down.code, 0, down.stderr);
    const different = await run('diff', ['-r', join(local, 'tree'), join(local, 'down')]);
    assert.deepEqual(different, { code: 0, stdout: '', stderr: '' });
    const seven = await stat(join(local, 'down/a/b/7'));
    assert.equal(seven.mtimeMs, 1_000_000_000_000);
    assert.equal(seven.mode & 0o777, 0o600);
  });
});

async function touched(path: string): Promise<string> {
  await writeFile(path, '');
  return path;
}
