import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { userInfo } from 'node:os';
import { CLIENT_ALGORITHMS } from '@burrow/ssh';
import type { HelloInfo } from '@burrow/tunnel';
import ssh2 from 'ssh2';
import type { AgentConfig } from '../config/config.ts';
import type { Log } from '../log.ts';

const ASK_MS = 5_000;

/** What is said of an sshd beside the agent: its host key from a file, or from its own mouth. Never rejects. */
export async function sshdFacts(
  config: Pick<AgentConfig, 'sshHostKey' | 'sshdPort' | 'sshdUser'>,
  log: Log,
): Promise<Pick<HelloInfo, 'sshHostKey' | 'sshServer' | 'sshUser'>> {
  try {
    const sshHostKey =
      config.sshHostKey === undefined
        ? await askHostKey(config.sshdPort)
        : firstTwo(await readFile(config.sshHostKey, 'utf8'));
    return { sshHostKey, sshServer: 'sshd', sshUser: config.sshdUser ?? userInfo().username };
  } catch (error) {
    log.warn('ssh', {
      message: `No SSH: the host key of the sshd on port ${config.sshdPort} is not known (${(error as Error).message}). Start it before the agent, or name its public key in BURROW_AGENT_SSH_HOST_KEY_FILE.`,
    });
    return { sshHostKey: '', sshServer: 'none', sshUser: '' };
  }
}

function firstTwo(line: string): string {
  const [type = '', blob = ''] = line.trim().split(/\s+/);
  if (!/^[a-z0-9-]+$/.test(type) || blob === '') throw new Error('the file holds no public key');
  return `${type} ${blob}`;
}

/** As `ssh-keyscan` does: a key exchange, and no more. Over loopback, so that it is the right one. */
function askHostKey(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    const client = new ssh2.Client();
    client.on('error', reject);
    client.on('close', () => reject(new Error('it hung up')));
    client.connect({
      sock: socket,
      username: 'burrow',
      readyTimeout: ASK_MS,
      algorithms: { ...CLIENT_ALGORITHMS, serverHostKey: ['ssh-ed25519', 'ecdsa-sha2-nistp256'] },
      hostVerifier: (blob: Buffer) => {
        const type = blob.toString('latin1', 4, 4 + blob.readUInt32BE(0));
        resolve(`${type} ${blob.toString('base64')}`);
        return false;
      },
    });
  });
}
