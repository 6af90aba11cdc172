import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CliError } from '../cli-error.ts';
import { includeBlock, withBlock, withoutBlock } from './user-config.ts';

const BLOCK = includeBlock('/home/me/.ssh/burrow_config');
/** What people have in such files, in any order, with any line breaks. */
const own = fc
  .array(
    fc.oneof(
      fc.constantFrom('Host *', '\tUser me', '# a remark', '', 'Include other', '  # >>> not ours'),
      fc.string(),
    ),
  )
  .map((lines) => lines.join('\n'))
  .filter((text) => !text.includes('burrow ssh-config'));

test('what people wrote survives putting the block in and out, and twice is once', () => {
  fc.assert(
    fc.property(own, (text) => {
      const once = withBlock(text, BLOCK);
      assert.ok(once.startsWith(BLOCK));
      assert.ok(once.endsWith(text));
      assert.equal(withBlock(once, BLOCK), once);
      assert.equal(withoutBlock(once), text);
      assert.equal(withoutBlock(text), text);
    }),
  );
});

test('a block that was moved, or has other content or line breaks, is found and replaced', () => {
  const moved = `Host x\n${BLOCK}Host y`;
  assert.equal(withoutBlock(moved), 'Host x\nHost y');
  assert.equal(withBlock(moved, BLOCK), `${BLOCK}Host x\nHost y`);
  assert.equal(withoutBlock(BLOCK.replaceAll('\n', '\r\n') + 'Host y'), 'Host y');
  assert.equal(withoutBlock(BLOCK.trimEnd()), '');
  assert.equal(withoutBlock(BLOCK + BLOCK + 'z'), 'z');
});

test('half a block is nothing to guess about', () => {
  const [begin = '', , , end = ''] = BLOCK.split('\n');
  for (const text of [`${begin}\nHost x`, `Host x\n${end}\n`, `${end}\n${begin}\n`]) {
    assert.throws(() => withoutBlock(text), CliError);
  }
});
