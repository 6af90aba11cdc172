import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { TunnelError, type Dial } from '@burrow/tunnel';
import { FakeLink, fakeWelcome } from '../testing-fakes.ts';
import { TransportChooser, type TransportName } from './transports.ts';

type Answer = 'ok' | Error;

function setUp(choice: 'auto' | 'grpc' | 'websocket' = 'auto') {
  const tried: TransportName[] = [];
  const answers: Partial<Record<TransportName, Answer>> = {};
  const state = { now: 0, reachable: true };
  const chooser = new TransportChooser(
    choice,
    async (name) =>
      (async (options) => {
        tried.push(name);
        await options.connect?.(options.signal);
        const answer = answers[name] ?? 'ok';
        if (answer !== 'ok') throw answer;
        return { link: new FakeLink(), welcome: fakeWelcome() };
      }) satisfies Dial,
    () => state.now,
  );
  const dial = () =>
    chooser.dial(
      {
        url: new URL('https://relay.test'),
        token: 't',
        hello: {
          instanceId: '',
          software: '',
          listeningPorts: [],
          sshHostKey: '',
          sshServer: 'none',
          sshUser: '',
          label: '',
        },
        handler: { onChannel() {}, onClose() {} },
        signal: AbortSignal.timeout(5000),
        connect: async () => {
          if (!state.reachable) throw new TunnelError('unavailable', 'refused');
          return new PassThrough();
        },
      },
      () => {},
      () => AbortSignal.timeout(5000),
    );
  return { dial, tried, answers, state };
}

const middlebox = new TunnelError('protocol-error', 'The answer was HTTP/1.1');

test('gRPC first, WebSocket when something breaks HTTP/2, and that is remembered', async () => {
  const { dial, tried, answers, state } = setUp();
  answers.grpc = middlebox;
  assert.equal((await dial()).transport, 'websocket');
  assert.equal((await dial()).transport, 'websocket');
  assert.deepEqual(tried, ['grpc', 'websocket', 'websocket']);
  state.now += 31 * 60_000;
  delete answers.grpc;
  assert.equal((await dial()).transport, 'grpc', 'gRPC gets another chance');
});

test('silence of a connected relay counts as a middlebox', async () => {
  const { dial, answers } = setUp();
  answers.grpc = new DOMException('The operation timed out', 'TimeoutError');
  assert.equal((await dial()).transport, 'websocket');
});

test('no fallback when no connection was made', async () => {
  const { dial, tried, state } = setUp();
  state.reachable = false;
  await assert.rejects(dial(), { code: 'unavailable' });
  assert.deepEqual(tried, ['grpc']);
});

test('no fallback for what the relay said, nor for certificate faults', async () => {
  const certificate = Object.assign(new Error('self-signed'), {
    code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
  });
  for (const error of [
    new TunnelError('token-revoked', 'revoked', { remote: true }),
    new TunnelError('draining', 'draining', { remote: true }),
    new TunnelError('unavailable', 'TLS failed', { cause: certificate }),
  ]) {
    const { dial, tried, answers } = setUp();
    answers.grpc = error;
    await assert.rejects(dial(), { code: error.code });
    assert.deepEqual(tried, ['grpc']);
  }
});

test('where gRPC has worked, a restarting relay is no middlebox', async () => {
  const { dial, tried, answers } = setUp();
  await dial();
  answers.grpc = new TunnelError('link-lost', 'reset');
  await assert.rejects(dial());
  await assert.rejects(dial());
  assert.deepEqual(tried, ['grpc', 'grpc', 'grpc']);
  assert.equal((await dial()).transport, 'websocket');
});

test('a fixed transport is the only one tried', async () => {
  const grpc = setUp('grpc');
  grpc.answers.grpc = middlebox;
  await assert.rejects(grpc.dial(), { code: 'protocol-error' });
  assert.deepEqual(grpc.tried, ['grpc']);
  const websocket = setUp('websocket');
  await websocket.dial();
  assert.deepEqual(websocket.tried, ['websocket']);
});
