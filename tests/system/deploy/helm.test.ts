// The Helm chart: Helm's own check, and what its manifests say, for several files of values. No
// Kubernetes runs here: what an API server would refuse is asserted by hand.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { loadConfig } from '../../../packages/relay/src/config/load.ts';
import type { Config } from '../../../packages/relay/src/config/schema.ts';
import { installHelm } from '../../../scripts/lib/helm.ts';
import { ROOT } from '../../../scripts/lib/project-node.mjs';
import { run } from '../../harness/run.ts';

const CHART = join(ROOT, 'deploy/helm/burrow');
const VALUES = readdirSync(join(CHART, 'ci')).map((file) => file.replace('-values.yaml', ''));

// oxlint-disable-next-line typescript/no-explicit-any -- manifests of every kind
type Manifest = Record<string, any>;

let helm: string;
let home: string;
before(async () => {
  helm = await installHelm();
  home = mkdtempSync(join(tmpdir(), 'burrow-helm-'));
});
after(() => rmSync(home, { recursive: true, force: true }));

const call = (...args: string[]) => run(helm, args, { env: { HOME: home } });
const valuesOf = (name: string): string => join(CHART, 'ci', `${name}-values.yaml`);

async function render(values: string, ...more: string[]): Promise<Manifest[]> {
  const ran = await call('template', 'test', CHART, '-n', 'somewhere', '-f', values, ...more);
  assert.equal(ran.code, 0, ran.stderr);
  const manifests = parseAllDocuments(ran.stdout, { uniqueKeys: true }).map((document) => {
    assert.deepEqual(document.errors, []);
    return document.toJS() as Manifest | null;
  });
  return manifests.filter((manifest) => manifest !== null);
}

function one(manifests: readonly Manifest[], kind: string, name = 'test-burrow'): Manifest {
  const found = manifests.filter((each) => each['kind'] === kind && each['metadata'].name === name);
  assert.equal(found.length, 1, `${kind} ${name}: ${found.length}`);
  return found[0]!;
}

const podOf = (manifests: readonly Manifest[]): Manifest =>
  one(manifests, 'StatefulSet')['spec'].template.spec;

/** As the relay in the pod reads it. */
function configOf(manifests: readonly Manifest[]): Config {
  const file = join(home, 'relay.yaml');
  writeFileSync(file, one(manifests, 'ConfigMap')['data']['relay.yaml']);
  const env: Record<string, string> = {};
  for (const { name, value } of podOf(manifests)['containers'][0].env) {
    if (typeof value === 'string') env[name] = value.replaceAll('$(POD_NAME)', 'test-burrow-0');
  }
  return loadConfig({ file, env }).config;
}

test('helm lint finds nothing, with any of the values', async () => {
  for (const name of VALUES) {
    const ran = await call('lint', CHART, '--strict', '-f', valuesOf(name));
    assert.equal(ran.code, 0, `${name}: ${ran.stdout}${ran.stderr}`);
    assert.doesNotMatch(ran.stdout, /WARNING|ERROR/);
  }
});

for (const name of VALUES) {
  describe(`values ${name}`, () => {
    let manifests: Manifest[];
    before(async () => {
      manifests = await render(valuesOf(name));
    });

    test('every setting is one that the relay knows', () => {
      const config = configOf(manifests);
      assert.equal(config.domain, 'burrow.example.com');
      assert.equal(config.publicUrl, 'https://burrow.example.com');
    });

    test('names, labels and selectors belong together', () => {
      const ids = manifests.map(({ kind, metadata }) => `${kind}/${metadata.name}`);
      assert.equal(new Set(ids).size, ids.length, ids.join());
      const labels = one(manifests, 'StatefulSet')['spec'].template.metadata.labels as object;
      for (const manifest of manifests) {
        const { kind, metadata, spec } = manifest;
        assert.match(metadata.name, /^[a-z0-9-]{1,63}$/);
        assert.equal(metadata.labels['app.kubernetes.io/instance'], 'test', kind);
        assert.ok(!('namespace' in metadata), 'the release decides');
        const selector: object | undefined =
          kind === 'Service'
            ? spec.selector
            : (spec?.selector?.matchLabels ?? spec?.podSelector?.matchLabels);
        for (const [key, value] of Object.entries(selector ?? {})) {
          assert.equal((labels as Record<string, string>)[key], value, `${kind} ${key}`);
        }
      }
    });

    test('every port that is named exists, and is the one that the relay listens on', () => {
      const config = configOf(manifests);
      const [container] = podOf(manifests)['containers'];
      const ports = Object.fromEntries(
        container.ports.map((port: Manifest) => [port['name'], port['containerPort']]),
      );
      assert.equal(ports.http, config.listen.port);
      assert.equal(ports.ssh, config.ssh.port);
      if (config.cluster.redisUrlFile !== undefined) {
        assert.equal(ports.peers, config.cluster.peer.port);
      }
      for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
        assert.equal(container[probe].httpGet.port, 'http');
      }
      assert.equal(container.readinessProbe.httpGet.path, '/readyz');
      assert.equal(container.livenessProbe.httpGet.path, '/healthz');
      const offered = new Map<string, number[]>();
      for (const { kind, metadata, spec } of manifests) {
        if (kind !== 'Service') continue;
        offered.set(
          metadata.name,
          spec.ports.map((port: Manifest) => port['port']),
        );
        for (const { targetPort } of spec.ports) {
          assert.ok(targetPort in ports || targetPort === 8151, `${metadata.name} ${targetPort}`);
        }
      }
      for (const { kind, spec } of manifests) {
        if (!(kind as string).endsWith('Route')) continue;
        for (const { backendRefs } of spec.rules) {
          for (const ref of backendRefs) assert.ok(offered.get(ref.name)?.includes(ref.port), kind);
        }
      }
    });

    test('secrets are only referred to, and mounted where the settings look', () => {
      const config = configOf(manifests);
      assert.ok(manifests.every(({ kind }) => kind !== 'Secret'));
      const pod = podOf(manifests);
      const [container] = pod['containers'];
      const volumes = new Set(pod['volumes'].map((volume: Manifest) => volume['name']));
      if (one(manifests, 'StatefulSet')['spec'].volumeClaimTemplates !== undefined)
        volumes.add('data');
      const files = new Set<string>();
      for (const mount of container.volumeMounts) {
        assert.ok(volumes.has(mount.name), mount.name);
        const volume = pod['volumes'].find((each: Manifest) => each['name'] === mount.name);
        const items = volume?.secret?.items as { path: string }[] | undefined;
        for (const { path } of items ?? []) files.add(`${mount.mountPath}/${path}`);
        if (volume?.secret !== undefined && items === undefined) {
          for (const path of ['tls.crt', 'tls.key', 'ca.crt'])
            files.add(`${mount.mountPath}/${path}`);
        }
      }
      const { database, cluster, listen, metrics } = config;
      for (const file of [
        ...[database.urlFile, cluster.redisUrlFile, cluster.redisCaFile, cluster.secretFile],
        ...[listen.tls.certFile, listen.tls.keyFile, metrics.tokenFile],
        ...[cluster.peer.tls.certFile, cluster.peer.tls.keyFile, cluster.peer.tls.caFile],
      ]) {
        if (file !== undefined) assert.ok(files.has(file), file);
      }
      assert.equal(config.dataDir, '/var/lib/burrow');
      assert.ok(
        container.volumeMounts.some((mount: Manifest) => mount['mountPath'] === config.dataDir),
      );
    });

    test('the pod may nothing that it does not need', () => {
      const pod = podOf(manifests);
      const [container] = pod['containers'];
      assert.equal(pod['securityContext'].runAsNonRoot, true);
      assert.ok(pod['securityContext'].runAsUser > 0);
      assert.deepEqual(pod['securityContext'].seccompProfile, { type: 'RuntimeDefault' });
      assert.deepEqual(container.securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      assert.equal(pod['automountServiceAccountToken'], false);
      assert.equal(pod['enableServiceLinks'], false);
      for (const key of ['hostNetwork', 'hostPID', 'hostIPC']) assert.ok(!(key in pod));
      assert.ok(container.resources.limits.memory);
    });

    test('a relay that stops has the time for its drain', () => {
      const pod = podOf(manifests);
      const sleep = Number(pod['containers'][0].lifecycle.preStop.exec.command[1]);
      const drain = configOf(manifests).drain.graceMs / 1000;
      assert.ok(pod['terminationGracePeriodSeconds'] >= sleep + drain + 10);
      assert.equal(one(manifests, 'PodDisruptionBudget')['spec'].maxUnavailable, 1);
    });
  });
}

test('a single relay keeps its data on a volume', async () => {
  const manifests = await render(valuesOf('single'));
  const { spec } = one(manifests, 'StatefulSet');
  assert.equal(spec.replicas, 1);
  assert.equal(spec.volumeClaimTemplates[0].metadata.name, 'data');
  assert.equal(configOf(manifests).cluster.redisUrlFile, undefined);
});

test('relays of a cluster have names of their own, under which others dial them', async () => {
  for (const [name, scheme] of [
    ['cluster', 'http'],
    ['everything', 'https'],
  ] as const) {
    const manifests = await render(valuesOf(name));
    const { cluster } = configOf(manifests);
    assert.equal(cluster.relayId, 'test-burrow-0');
    assert.equal(
      cluster.peer.url,
      `${scheme}://test-burrow-0.test-burrow-peers.somewhere.svc:8151`,
    );
    assert.equal(one(manifests, 'StatefulSet')['spec'].serviceName, 'test-burrow-peers');
    const peers = one(manifests, 'Service', 'test-burrow-peers')['spec'];
    assert.deepEqual([peers.clusterIP, peers.publishNotReadyAddresses], ['None', true]);
  }
});

test('everything at once: scaling, routes, network policy, metrics', async () => {
  const manifests = await render(valuesOf('everything'));
  const scaler = one(manifests, 'HorizontalPodAutoscaler')['spec'];
  assert.deepEqual(scaler.scaleTargetRef, {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    name: 'test-burrow',
  });
  assert.ok(!('replicas' in one(manifests, 'StatefulSet')['spec']), 'the scaler decides');
  const policy = one(manifests, 'NetworkPolicy')['spec'];
  assert.deepEqual(policy.policyTypes, ['Ingress', 'Egress']);
  const peers = policy.ingress.find((rule: Manifest) => rule['ports'][0].port === 8151);
  assert.equal(peers.from.length, 1);
  assert.ok(peers.from[0].podSelector, 'only from relays');
  assert.deepEqual(one(manifests, 'HTTPRoute')['spec'].hostnames, [
    'burrow.example.com',
    '*.burrow.example.com',
  ]);
  assert.deepEqual(
    one(manifests, 'GRPCRoute')['spec'].rules[0].matches.map(
      (each: Manifest) => each['method'].service,
    ),
    ['burrow.tunnel.v1.TunnelService', 'grpc.health.v1.Health'],
  );
  one(manifests, 'TCPRoute', 'test-burrow-ssh');
  const [endpoint] = one(manifests, 'ServiceMonitor')['spec'].endpoints;
  assert.deepEqual(endpoint.authorization.credentials, { name: 'burrow-metrics', key: 'token' });
  const config = configOf(manifests);
  assert.deepEqual(
    [
      config.agents.maxLinks,
      config.audit.retentionDays,
      config.log.level,
      config.gateway.maxWaiting,
    ],
    [8, 365, 'warn', 500],
  );
  assert.equal(config.listen.proxyProtocol, true);
  // What is set by hand does not push out what the chart sets beside it.
  assert.equal(config.log.pretty, 'never');
});

test('the Ingress leads the domain and all names below to the relay, with TLS', async () => {
  const { spec } = one(await render(valuesOf('cluster')), 'Ingress');
  const hosts = ['burrow.example.com', '*.burrow.example.com'];
  assert.deepEqual(
    spec.rules.map((rule: Manifest) => rule['host']),
    hosts,
  );
  assert.deepEqual(spec.tls, [{ secretName: 'burrow-tls', hosts }]);
});

test('changed settings restart the pods', async () => {
  const sum = async (...more: string[]): Promise<string> =>
    one(await render(valuesOf('single'), ...more), 'StatefulSet')['spec'].template.metadata
      .annotations['checksum/config'];
  assert.equal(await sum(), await sum());
  assert.notEqual(await sum(), await sum('--set', 'config.log.level=debug'));
});

describe('values that cannot work are refused with a sentence', () => {
  for (const [what, from, sets, says] of [
    ['several relays without Redis', 'single', ['replicas=2'], /set cluster\.redis/],
    [
      'a cluster without a secret',
      'cluster',
      ['cluster.secret.existingSecret='],
      /cluster\.secret/,
    ],
    ['a cluster without PostgreSQL', 'cluster', ['database.existingSecret='], /PostgreSQL/],
    ['nowhere to keep data', 'single', ['persistence.enabled=false'], /lost with the pod/],
    [
      'metrics that nobody may read',
      'single',
      ['serviceMonitor.enabled=true'],
      /metrics\.existing/,
    ],
    ['routes without a Gateway', 'single', ['gateway.enabled=true'], /parentRefs/],
    ['PROXY headers of nobody', 'single', ['proxyProtocol=true'], /trustedProxies/],
    ['an unknown value', 'single', ['replica=2'], /replica/],
    ['a bad value', 'single', ['publicUrl=burrow'], /publicUrl/],
  ] as const) {
    test(what, async () => {
      const options = sets.flatMap((set) => ['--set', set]);
      const ran = await call('template', 'test', CHART, '-f', valuesOf(from), ...options);
      assert.notEqual(ran.code, 0);
      assert.match(ran.stderr, says);
    });
  }
});

test('the chart has the version of the project', () => {
  const chart = readFileSync(join(CHART, 'Chart.yaml'), 'utf8');
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    version: string;
  };
  assert.match(chart, new RegExp(`^version: ${version.replaceAll('.', '\\.')}$`, 'm'));
  assert.match(chart, new RegExp(`^appVersion: ${version.replaceAll('.', '\\.')}$`, 'm'));
});
