// Case by case: what an upstream answers when asked directly, and through the tunnel.
import assert from 'node:assert/strict';
import type { ClientHttp2Session } from 'node:http2';
import { after, before, describe, test } from 'node:test';
import { startBurrow, type Burrow } from '../harness/burrow.ts';
import { CASES, type Case } from './support/conformance-cases.ts';
import { dial, dialHttp2, dialPlain } from './support/dial.ts';
import { exchange1, exchange2, type Asking, type Http2Response } from './support/exchange.ts';
import { rawUpstream, type SeenRequest, type Upstream } from './support/raw-upstream.ts';
import type { Head, RawResponse } from './support/raw-response.ts';

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

function endToEnd(head: Head) {
  // The version is the leg's own; a chunked answer to a 1.0 upstream's close is the same body.
  return {
    status: head.status,
    reason: head.reason,
    headers: head.headers.filter(([name]) => !HOP_BY_HOP.has(name.toLowerCase())),
  };
}

/** As HTTP/2 can say it: names in lower case, no reason; the order counts within a name only. */
function endToEnd2(head: Pick<Head, 'status' | 'headers'>) {
  const values: Record<string, string[]> = {};
  for (const [name, value] of head.headers) {
    const lower = name.toLowerCase();
    if (!HOP_BY_HOP.has(lower)) (values[lower] ??= []).push(value);
  }
  return { status: head.status, headers: values };
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

function asked2(request: SeenRequest | undefined) {
  const { line, headers } = asked(request);
  return { line, headers: headers.map((each) => each.replace(/^[^:]+/, (n) => n.toLowerCase())) };
}

async function upstreamOf(each: Case): Promise<Upstream> {
  return rawUpstream((socket, request, rest) => {
    if (typeof each.answer === 'string') socket.write(each.answer, 'latin1');
    else each.answer(socket, request, rest);
    if (each.closes === true) socket.end();
  });
}

for (const tls of [false, true]) {
  describe(`through the tunnel as directly, ${tls ? 'over TLS' : 'on *.localhost'}`, () => {
    let burrow: Burrow;
    let session: ClientHttp2Session;
    before(async () => {
      burrow = await startBurrow({ workspace: 'case', tls });
      await burrow.startAgent('case');
      session = dialHttp2(burrow, new URL(burrow.appUrl('case')).host);
    });
    after(async () => {
      session.destroy();
      await burrow.stop();
    });
    const asking = (upstream: Upstream): Asking => ({
      authority: new URL(burrow.appUrl('case', upstream.port)).host,
      token: burrow.token,
    });

    for (const each of CASES) {
      test(each.name, async () => {
        await using upstream = await upstreamOf(each);
        const as = asking(upstream);
        const direct: RawResponse = await exchange1(dialPlain(upstream.port), each, as);
        const tunnelled = await exchange1(dial(burrow, as.authority), each, as);

        assert.deepEqual(endToEnd(tunnelled), endToEnd(direct));
        assert.equal(tunnelled.body.toString('latin1'), direct.body.toString('latin1'));
        assert.deepEqual(tunnelled.trailers, direct.trailers);
        assert.deepEqual(tunnelled.interim.map(endToEnd), direct.interim.map(endToEnd));
        assert.equal(upstream.seen.length, 2, 'the upstream was asked once through the tunnel');
        assert.deepEqual(asked(upstream.seen[1]), asked(upstream.seen[0]));
      });

      // Without TLS no browser speaks it.
      if (!tls || each.http1Only === true) continue;
      test(`HTTP/2: ${each.name}`, async () => {
        await using upstream = await upstreamOf(each);
        const as = asking(upstream);
        const direct: RawResponse = await exchange1(dialPlain(upstream.port), each, as);
        const tunnelled: Http2Response = await exchange2(session, each, as);

        assert.deepEqual(endToEnd2(tunnelled), endToEnd2(direct));
        assert.equal(tunnelled.body.toString('latin1'), direct.body.toString('latin1'));
        assert.deepEqual(
          tunnelled.trailers,
          direct.trailers.map(([name, value]) => [name.toLowerCase(), value]),
        );
        assert.deepEqual(tunnelled.interim.map(endToEnd2), direct.interim.map(endToEnd2));
        assert.equal(upstream.seen.length, 2, 'the upstream was asked once through the tunnel');
        assert.deepEqual(asked2(upstream.seen[1]), asked2(upstream.seen[0]));
      });
    }
  });
}
