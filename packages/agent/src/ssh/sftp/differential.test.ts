import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { encode, REPLY, REQUEST as R, type Field } from './protocol.ts';
import { OPENSSH_SERVER, ours, theirs, type RawClient, type RawReply } from './testing-raw.ts';
import { folder } from './testing-sftp.ts';

const NONE: Field = { raw: encode([0]) };
const mode = (bits: number): Field => ({ raw: encode([4, bits]) });
const size = (bytes: bigint): Field => ({ raw: encode([1, bytes]) });
const times = (atime: number, mtime: number): Field => ({ raw: encode([8, atime, mtime]) });
const bytes = (...values: number[]): Buffer => Buffer.from(values);
const [READ, WRITE, APPEND, CREAT, TRUNC, EXCL] = [1, 2, 4, 8, 16, 32];
/** A name that is not UTF-8. */
const ODD = Buffer.concat([Buffer.from('odd-'), bytes(0xff, 0xfe, 0x80)]);

/** What a reply says, without what must differ: folders, handles, sentences, times of now. */
function say(reply: RawReply, home: string): unknown {
  const { type, fields } = reply;
  const text = (value: Buffer): string => value.toString('latin1').replaceAll(home, 'HOME');
  const attributes = (): object => {
    const flags = fields.uint32();
    const found: Record<string, unknown> = { flags };
    if ((flags & 1) !== 0) found['size'] = fields.uint64();
    if ((flags & 2) !== 0) found['owner'] = [fields.uint32(), fields.uint32()];
    if ((flags & 4) !== 0) found['mode'] = fields.uint32().toString(8);
    if ((flags & 8) !== 0) {
      found['times'] = [fields.uint32(), fields.uint32()].map((time) => time < 1.7e9 && time);
    }
    return found;
  };
  switch (type) {
    case REPLY.STATUS:
      return { status: fields.uint32() };
    case REPLY.HANDLE:
      return 'handle';
    case REPLY.DATA:
      return { data: fields.string().toString('latin1') };
    case REPLY.ATTRS:
      return attributes();
    case REPLY.NAME: {
      const count = fields.uint32();
      const names = Array.from({ length: count }, (): [string, string, object] => [
        text(fields.string()),
        // The size of a folder itself depends on its history.
        text(fields.string()).replace(/^(d.{36,}?) *\d+ (?=[A-Z])/, '$1 '),
        attributes(),
      ]);
      return names.sort(([a], [b]) => (a < b ? -1 : 1));
    }
    default:
      return { extended: fields.rest().toString('hex') };
  }
}

interface Step {
  readonly asked: string;
  readonly said: unknown;
}

type Ask = (type: number, ...fields: readonly Field[]) => Promise<Buffer>;

/** The operations; each one's reply is compared. Returns the handle for OPEN and OPENDIR. */
async function script(ask: Ask): Promise<void> {
  const extended = (name: string, ...fields: readonly Field[]): Promise<Buffer> =>
    ask(R.EXTENDED, name, ...fields);
  for (const path of ['.', '', '/', '/usr/../etc', 'nothing', 'no/thing', '/dev/../x/..']) {
    await ask(R.REALPATH, path);
  }
  // Folders.
  await ask(R.MKDIR, 'folder', mode(0o751));
  await ask(R.MKDIR, 'folder', NONE);
  await ask(R.MKDIR, 'a/b/c', NONE);
  await ask(R.LSTAT, 'folder');
  await ask(R.OPENDIR, 'nowhere');
  await ask(R.RMDIR, 'nowhere');
  // Files: how they are opened.
  await ask(R.OPEN, 'new', READ, NONE);
  await ask(R.OPEN, 'new', WRITE, NONE);
  const file = await ask(R.OPEN, 'new', READ | WRITE | CREAT | EXCL, mode(0o640));
  await ask(R.OPEN, 'new', WRITE | CREAT | EXCL, NONE);
  await ask(R.WRITE, file, 0n, 'hello world');
  await ask(R.WRITE, file, 20n, 'after a hole');
  await ask(R.WRITE, file, 6n, 'W');
  await ask(R.WRITE, file, 3n, '');
  await ask(R.READ, file, 0n, 100);
  await ask(R.READ, file, 4n, 3);
  await ask(R.READ, file, 32n, 10);
  await ask(R.READ, file, 31n, 10);
  await ask(R.READ, file, 1n << 40n, 10);
  await ask(R.FSTAT, file);
  await ask(R.FSETSTAT, file, size(5n));
  await ask(R.READ, file, 0n, 100);
  await ask(R.FSETSTAT, file, mode(0o604));
  await ask(R.FSETSTAT, file, times(1_000_000_000, 1_100_000_000));
  await ask(R.FSTAT, file);
  await extended('fsync@openssh.com', file);
  await ask(R.CLOSE, file);
  await ask(R.CLOSE, file);
  await ask(R.READ, file, 0n, 1);
  await ask(R.FSTAT, file);
  await ask(R.CLOSE, 'nonsense');
  await ask(R.LSTAT, 'new');
  const readOnly = await ask(R.OPEN, 'new', READ, NONE);
  await ask(R.WRITE, readOnly, 0n, 'x');
  await ask(R.READDIR, readOnly);
  await ask(R.CLOSE, readOnly);
  const append = await ask(R.OPEN, 'new', WRITE | APPEND, NONE);
  await ask(R.WRITE, append, 0n, '-appended');
  await ask(R.WRITE, append, 1n, '-twice');
  await ask(R.CLOSE, append);
  await ask(R.STAT, 'new');
  const truncated = await ask(R.OPEN, 'new', WRITE | CREAT | TRUNC, NONE);
  await ask(R.FSTAT, truncated);
  await ask(R.CLOSE, truncated);
  await ask(R.OPEN, 'folder', WRITE, NONE);
  // A place beyond 4 GiB.
  const sparse = await ask(R.OPEN, 'sparse', READ | WRITE | CREAT, NONE);
  await ask(R.WRITE, sparse, 5_000_000_000n, 'far');
  await ask(R.READ, sparse, 4_999_999_998n, 10);
  await ask(R.FSTAT, sparse);
  await ask(R.CLOSE, sparse);
  await ask(R.SETSTAT, 'sparse', size(0n));
  await ask(R.SETSTAT, 'nothing', mode(0o600));
  await ask(R.SETSTAT, 'folder', times(1_200_000_000, 1_300_000_000));
  await ask(R.STAT, 'folder');
  // Links; the target comes first.
  await ask(R.SYMLINK, 'new', 'link');
  await ask(R.SYMLINK, 'dangling-target', 'dangling');
  await ask(R.SYMLINK, 'loop', 'loop');
  await ask(R.SYMLINK, 'new', 'link');
  for (const path of ['link', 'dangling', 'loop', 'new', 'nothing']) {
    await ask(R.READLINK, path);
    await ask(R.REALPATH, path);
  }
  await ask(R.LSTAT, 'link');
  await ask(R.STAT, 'link');
  await ask(R.STAT, 'dangling');
  await ask(R.STAT, 'loop');
  await ask(R.STAT, 'new/beneath');
  await extended('lsetstat@openssh.com', 'link', times(1_400_000_000, 1_500_000_000));
  await extended('lsetstat@openssh.com', 'link', size(1n));
  await ask(R.LSTAT, 'link');
  await extended('hardlink@openssh.com', 'new', 'folder/hard');
  await extended('hardlink@openssh.com', 'nothing', 'folder/soft');
  // Renaming.
  await ask(R.RENAME, 'new', 'sparse');
  await ask(R.RENAME, 'nothing', 'something');
  await ask(R.RENAME, 'folder', 'moved');
  await ask(R.RENAME, 'moved', 'moved/inside');
  await ask(R.RENAME, 'new', 'renamed');
  await extended('posix-rename@openssh.com', 'renamed', 'sparse');
  await extended('posix-rename@openssh.com', 'nothing', 'sparse');
  await ask(R.LSTAT, 'renamed');
  await ask(R.RMDIR, 'moved');
  await ask(R.RMDIR, 'sparse');
  await ask(R.REMOVE, 'moved');
  await ask(R.REMOVE, 'nothing');
  // Names that are not text, or too long.
  const odd = await ask(R.OPEN, ODD, WRITE | CREAT, mode(0o600));
  await ask(R.CLOSE, odd);
  await ask(R.LSTAT, ODD);
  await ask(R.REALPATH, ODD);
  await ask(R.SYMLINK, ODD, 'to-odd');
  await ask(R.READLINK, 'to-odd');
  await ask(R.REALPATH, 'to-odd');
  await ask(R.LSTAT, 'x'.repeat(300));
  // Old files show their year.
  await ask(R.SETSTAT, 'sparse', times(1_000_000_000, 1_000_000_000));
  await ask(R.SETSTAT, 'moved', times(1_000_000_000, 1_600_000_000));
  for (const bits of [0o4755, 0o2644, 0o1777, 0o7000, 0o111]) {
    await ask(R.SETSTAT, ODD, mode(bits));
    await ask(R.LSTAT, ODD);
    const list = await ask(R.OPENDIR, '.');
    await ask(R.READDIR, list);
    await ask(R.READDIR, list);
    await ask(R.CLOSE, list);
  }
  // Other extensions.
  const from = await ask(R.OPEN, 'from', READ | WRITE | CREAT, NONE);
  const to = await ask(R.OPEN, 'to', READ | WRITE | CREAT, NONE);
  await ask(R.WRITE, from, 0n, 'to be copied');
  await extended('copy-data', from, 3n, 0n, to, 2n);
  await ask(R.READ, to, 0n, 100);
  await extended('copy-data', from, 0n, 5n, to, 0n);
  await ask(R.READ, to, 0n, 100);
  await extended('copy-data', from, 0n, 5n, from, 0n);
  await extended('copy-data', 'nonsense', 0n, 5n, from, 0n);
  for (const path of ['~', '~/x', '~root', '~root/x/y', 'plain', '~nobody-of-that-name']) {
    if (path.startsWith('~') && !path.startsWith('~root')) continue;
    await extended('expand-path@openssh.com', path);
  }
  await extended('home-directory', 'root');
  await extended('users-groups-by-id@openssh.com', encode([0, 1, 999_999]), encode([0, 5]));
  await extended('unknown@example.com', 'x');
}

const missing = existsSync(OPENSSH_SERVER) ? false : `needs ${OPENSSH_SERVER}`;

describe("OpenSSH's sftp-server and ours", { skip: missing }, () => {
  it('say the same to the same requests', async (t) => {
    const run = async (client: RawClient, home: string): Promise<Step[]> => {
      const said: Step[] = [];
      await client.begin();
      await script(async (type, ...fields) => {
        const reply = await client.request(type, ...fields);
        const asked = [type, ...fields.map(String)].join(' ');
        if (reply.type === REPLY.HANDLE) {
          said.push({ asked, said: 'handle' });
          return reply.fields.string();
        }
        said.push({ asked, said: say(reply, home) });
        return Buffer.from('none');
      });
      return said;
    };
    const [one, two] = [await folder(t), await folder(t)];
    const expected = await run(theirs(t, one), one);
    const got = await run(ours(t, two), two);
    // Which request it was is told by its place: handles are bytes of each server's own.
    const differences = expected.flatMap((step, i) =>
      isDeepStrictEqual(step.said, got[i]?.said) ? [] : [{ ...step, ours: got[i]?.said }],
    );
    assert.deepEqual(differences, []);
    assert.equal(got.length, expected.length);
  });

  it('offer the same extensions', async (t) => {
    const home = await folder(t);
    const [expected, got] = [await theirs(t, home).begin(), await ours(t, home).begin()];
    for (const [name, version] of expected) assert.equal(got.get(name), version, name);
  });
});
