// One relay of `npm run cluster`, configured by its environment. SIGTERM drains, a second one hurries.
import { tuneCollector } from '@burrow/tunnel/node';
import { loadConfig } from '../../packages/relay/src/config/load.ts';
import { createRelay, type Relay } from '../../packages/relay/src/relay.ts';
import { firstUser, signInUrl, type FirstUser } from '../start/first-user.ts';
import type { FromRelay, ToRelay } from './messages.ts';

const send = (message: FromRelay): void => void process.send?.(message);

let relay: Relay | undefined;
let signals = 0;
function onSignal(): void {
  signals += 1;
  if (signals > 2 || relay === undefined) process.exit(signals > 2 ? 1 : 0);
  void relay.stop(signals === 1 ? undefined : 0).finally(() => process.exit(0));
}
process.on('SIGTERM', onSignal);
process.on('SIGINT', onSignal);
// Whoever started it is gone.
process.on('disconnect', () => {
  onSignal();
  onSignal();
});

let user: Promise<FirstUser> | undefined;
async function answer(running: Relay, message: ToRelay): Promise<FromRelay> {
  if (message.kind === 'first-user') {
    user = firstUser(running, message.tokenName);
    return { kind: 'first-user', token: (await user).token };
  }
  const admin = (await user)?.admin ?? (await running.auth.users.ensureLocalAdmin());
  return {
    kind: 'sign-in-url',
    url: await signInUrl(running, { admin, workspace: message.workspace }),
  };
}

try {
  tuneCollector();
  const { config } = loadConfig({ env: process.env });
  const running = await createRelay(config);
  relay = running;
  await running.start();
  process.on('message', (message: ToRelay) => {
    answer(running, message).then(send, (error: Error) => {
      send({ kind: 'failed', message: error.message });
    });
  });
  send({
    kind: 'ready',
    port: running.port,
    ssh: running.ssh ?? { host: '', port: 0, hostKey: '' },
    domain: config.domain,
  });
} catch (error) {
  send({ kind: 'failed', message: (error as Error).message });
  process.exitCode = 1;
  process.disconnect();
}
