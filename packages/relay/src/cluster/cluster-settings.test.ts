import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { configSchema, type ConfigInput } from '../config/schema.ts';
import { RelayError } from '../errors.ts';
import { clusterSettings, type ClusterSettings } from './cluster-settings.ts';
import { redisProblem, redisUnavailable } from './redis-problem.ts';

const folder = mkdtempSync(join(tmpdir(), 'burrow-cluster-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const SECRET = 's'.repeat(32);
const REDIS = 'redis://127.0.0.1:6379';

let files = 0;
function file(text: string): string {
  const path = join(folder, String(files++));
  writeFileSync(path, text);
  return path;
}

function settings(cluster: ConfigInput['cluster'], port = 8150): ClusterSettings | undefined {
  const config = configSchema.parse({ cluster, listen: { port } });
  return clusterSettings(config, 'abcdef0123456789');
}

test('without Redis a relay stands alone', () => {
  assert.equal(settings({ relayId: 'one', secret: SECRET }), undefined);
});

test('user, password and database come from the URL, with what was escaped in it', () => {
  const { redis } = settings({
    redisUrl: 'rediss://relay:p%40ss%2Fword@redis.test/3',
    redisCaFile: file('PEM'),
    secret: SECRET,
  })!;
  assert.deepEqual(redis, {
    server: { host: 'redis.test', port: 6379 },
    username: 'relay',
    password: 'p@ss/word',
    database: 3,
    tls: { ca: 'PEM' },
    cluster: false,
  });
});

test('sentinels are asked for the primary by its name', () => {
  const { redis } = settings({
    redisUrl: REDIS,
    sentinels: ['s1:26379', '[::1]:26380'],
    sentinelName: 'burrow',
    secret: SECRET,
  })!;
  assert.deepEqual(redis.sentinels, {
    name: 'burrow',
    servers: [
      { host: 's1', port: 26379 },
      { host: '::1', port: 26380 },
    ],
  });
});

test('each line of the secret’s file is a secret: the first signs, all are accepted', () => {
  const [now, old] = ['n'.repeat(40), 'o'.repeat(40)];
  const secretFile = file(`${now}\n${old}\n\n`);
  assert.deepEqual(settings({ redisUrl: REDIS, secretFile })?.secrets, [now, old]);
});

test('a relay is named by its host and port, and by its run where the port is not known', () => {
  assert.match(settings({ redisUrl: REDIS, secret: SECRET })!.relayId, /:8150$/);
  assert.match(settings({ redisUrl: REDIS, secret: SECRET }, 0)!.relayId, /:abcdef01$/);
  assert.equal(settings({ redisUrl: REDIS, secret: SECRET, relayId: 'r' })!.relayId, 'r');
});

const BAD: [name: string, cluster: () => ConfigInput['cluster'], message: RegExp][] = [
  [
    'a file that holds no Redis URL',
    () => ({ redisUrlFile: file('http://a-secret@host'), secret: SECRET }),
    /cluster\.redisUrl must be redis:/,
  ],
  [
    'a file that is not there',
    () => ({ redisUrlFile: '/nonexistent', secret: SECRET }),
    /cannot read cluster\.redisUrlFile/,
  ],
  [
    'a database that is no number',
    () => ({ redisUrl: `${REDIS}/a-secret`, secret: SECRET }),
    /must be a database number/,
  ],
  [
    'a database of a Redis Cluster',
    () => ({ redisUrl: `${REDIS}/1`, redisCluster: true, secret: SECRET }),
    /no database but number 0/,
  ],
  [
    'a short secret in a file',
    () => ({ redisUrl: REDIS, secretFile: file(`${SECRET}\na-secret\n`) }),
    /each line of cluster\.secretFile must have at least 32 bytes/,
  ],
  [
    'an empty file of secrets',
    () => ({ redisUrl: REDIS, secretFile: file('\n') }),
    /cluster\.secretFile/,
  ],
];
for (const [name, cluster, message] of BAD) {
  test(`refused: ${name}`, () => {
    assert.throws(
      () => settings(cluster()),
      (error: unknown) => {
        assert.ok(error instanceof RelayError);
        assert.equal(error.code, 'config-invalid');
        assert.match(error.message, message);
        assert.doesNotMatch(error.message, /a-secret/);
        return true;
      },
    );
  });
}

const reply = (message: string): Error => Object.assign(new Error(message), { name: 'ReplyError' });
const PROBLEMS: [error: Error, sentence: string][] = [
  [
    new Error('connect ECONNREFUSED 10.1.2.3:6379'),
    'Redis does not answer (connect ECONNREFUSED).',
  ],
  [
    Object.assign(new AggregateError([new Error('connect ETIMEDOUT 10.1.2.3:6379')]), {
      code: 'X',
    }),
    'Redis does not answer (connect ETIMEDOUT).',
  ],
  [
    reply('OOM command not allowed when used memory > maxmemory'),
    'Redis cannot serve the relay now (OOM command not allowed when used memory > maxmemory).',
  ],
  [
    reply('ERR max number of clients reached'),
    'Redis takes no more clients (maxclients is reached).',
  ],
  [
    reply('WRONGTYPE Operation against a key'),
    'Redis refuses what the relay asks (WRONGTYPE Operation against a key).',
  ],
];
for (const [error, sentence] of PROBLEMS) {
  test(`said: ${sentence}`, () => {
    assert.equal(redisProblem(error), sentence);
    // People at a browser are told nothing of the inside.
    assert.doesNotMatch(redisUnavailable(sentence).message, /[()]/);
  });
}
