import assert from 'node:assert/strict';
import { test } from 'node:test';
import { absolute, expand } from './paths.ts';

test('names are relative to where the session begins, and ~ is the home', async () => {
  const folders = { start: '/srv/project', home: '/home/ann' };
  for (const [path, expected] of [
    ['', '/srv/project'],
    ['file', '/srv/project/file'],
    ['/etc', '/etc'],
    ['~', '/home/ann'],
    ['~/file', '/home/ann/file'],
  ] as const) {
    assert.equal(String(await expand(folders, Buffer.from(path))), expected);
  }
  assert.equal(String(absolute('/', Buffer.from('~'))), '/~');
  await assert.rejects(expand(folders, Buffer.from('~no-such-user/x')), { code: 'ENOENT' });
});
