// Case by case: what an upstream answers when asked directly, and through the tunnel.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { startBurrow, type Burrow } from '../harness/burrow.ts';
import { CASES, type Case } from './support/conformance-cases.ts';
import { rawUpstream, type SeenRequest, type Upstream } from './support/raw-upstream.ts';
import { ByteReader, readResponse, type Head, type RawResponse } from './support/raw-response.ts';

let burrow: Burrow;
before(async () => {
  burrow = await startBurrow({ workspace: 'case' });
  await burrow.startAgent('case');
});
after(() => burrow.stop());

/** RFC 9110 7.6.1: each leg has its own; all others must arrive as they were sent. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'proxy-connection',
  'x-hop',
]);
/** What the gateway adds to requests, or takes for itself. */
const GATEWAY = /^(x-forwarded-[a-z]+|forwarded|via|x-real-ip|burrow-authorization)$/;

async function exchange(port: number, each: Case, authority: string): Promise<RawResponse> {
  const method = each.method ?? 'GET';
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
  try {
    const lines = [
      `${method} ${each.target ?? '/'} HTTP/1.1`,
      `Host: ${authority}`,
      ...(each.headers ?? []),
      `Burrow-Authorization: Bearer ${burrow.token}`,
    ];
    socket.write(`${lines.join('\r\n')}\r\n\r\n${each.body ?? ''}`, 'latin1');
    return await readResponse(new ByteReader(socket), method, (head) => {
      if (head.status === 100) socket.write(each.bodyAfterContinue ?? '', 'latin1');
    });
  } finally {
    socket.destroy();
  }
}

function endToEnd(head: Head) {
  // The version is the leg's own; a chunked answer to a 1.0 upstream's close is the same body.
  return {
    status: head.status,
    reason: head.reason,
    headers: head.headers.filter(([name]) => !HOP_BY_HOP.has(name.toLowerCase())),
  };
}

function asked(request: SeenRequest | undefined) {
  assert.ok(request, 'the upstream was never asked');
  const name = (line: string) => line.slice(0, line.indexOf(':')).toLowerCase();
  return {
    line: request.line,
    headers: request.headers
      .filter(
        (line) => !HOP_BY_HOP.has(name(line)) && !GATEWAY.test(name(line)) && name(line) !== 'te',
      )
      .map((line) => line.replace(/:[ \t]*/, ': ').trimEnd()),
  };
}

async function upstreamOf(each: Case): Promise<Upstream> {
  return rawUpstream((socket, request, rest) => {
    if (typeof each.answer === 'string') socket.write(each.answer, 'latin1');
    else each.answer(socket, request, rest);
    if (each.closes === true) socket.end();
  });
}

describe('through the tunnel as directly', () => {
  for (const each of CASES) {
    test(each.name, async () => {
      await using upstream = await upstreamOf(each);
      const authority = new URL(burrow.appUrl('case', upstream.port)).host;
      const direct = await exchange(upstream.port, each, authority);
      const tunnelled = await exchange(burrow.port, each, authority);

      assert.deepEqual(endToEnd(tunnelled), endToEnd(direct));
      assert.equal(tunnelled.body.toString('latin1'), direct.body.toString('latin1'));
      assert.deepEqual(tunnelled.trailers, direct.trailers);
      assert.deepEqual(tunnelled.interim.map(endToEnd), direct.interim.map(endToEnd));
      assert.equal(upstream.seen.length, 2, 'the upstream was asked once through the tunnel');
      assert.deepEqual(asked(upstream.seen[1]), asked(upstream.seen[0]));
    });
  }
});
