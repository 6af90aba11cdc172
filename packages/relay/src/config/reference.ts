import { LEAVES, type Leaf } from './leaves.ts';
import { loadConfig } from './load.ts';
import { inlineYaml } from './print.ts';

/** docs/configuration.md, made from the schema. A test keeps it true, and writes it when UPDATE_DOCS=1. */
export function configReference(): string {
  const { config } = loadConfig();
  const sections = new Map<string, Leaf[]>();
  for (const leaf of LEAVES) {
    const dot = leaf.path.indexOf('.');
    const section = dot < 0 ? '' : leaf.path.slice(0, dot);
    sections.set(section, [...(sections.get(section) ?? []), leaf]);
  }
  const parts = [...sections].map(([section, leaves]) => {
    const rows = leaves.map((leaf) => row(leaf, valueAt(config, leaf.path)));
    const title = section === '' ? 'General' : `\`${section}\``;
    return `## ${title}\n\n| setting | default | what it does |\n|---|---|---|\n${rows.join('\n')}\n`;
  });
  return `${INTRODUCTION}\n${parts.join('\n')}`;
}

function row(leaf: Leaf, value: unknown): string {
  const choices =
    leaf.choices === undefined
      ? ''
      : ` One of ${leaf.choices.map((choice) => `\`${choice}\``).join(', ')}.`;
  const secret = leaf.secret ? ' Secret: no flag, hidden when printed.' : '';
  const fallback = value === undefined ? 'none' : `\`${inlineYaml(value)}\``;
  return `| \`${leaf.path}\` | ${fallback} | ${`${leaf.description}${choices}${secret}`.replaceAll('|', '\\|')} |`;
}

function valueAt(config: unknown, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((node, key) => (node as Record<string, unknown> | undefined)?.[key], config);
}

const INTRODUCTION = `# Configuration of the relay

Made from the schema in \`packages/relay/src/config/schema.ts\`; do not edit by hand.

Each setting can come from four places; later ones win:

1. its default;
2. a YAML or JSON file, named by \`--config\` or \`BURROW_CONFIG\`;
3. an environment variable: \`BURROW_RELAY_\`, then the setting's path in capitals, words parted by \`_\` and
   sections by \`__\`. \`listen.port\` is \`BURROW_RELAY_LISTEN__PORT\`, \`listen.tls.certFile\` is
   \`BURROW_RELAY_LISTEN__TLS__CERT_FILE\`. Lists are separated by commas, switches are \`true\` or \`false\`, and
   an empty variable is as good as none;
4. a flag: \`listen.port\` is \`--listen-port\`. Secrets have no flag, as every user of a machine can read the
   arguments of its processes.

An unknown setting is an error that names the nearest known one, wherever it was set. (\`BURROW_RELAY_URL\`, which
belongs to agents, and the variables that Kubernetes makes for a Service named \`burrow-relay\` are left alone.)

\`node scripts/burrow.mjs relay config\` prints what is in effect and where each value comes from; \`--json\` for programs.

A small file:

\`\`\`yaml
domain: burrow.example.com
dataDir: /var/lib/burrow
listen:
  host: 0.0.0.0
  port: 443
  tls:
    certFile: /etc/burrow/tls.crt
    keyFile: /etc/burrow/tls.key
\`\`\`

Behind a load balancer that ends TLS:

\`\`\`yaml
domain: burrow.example.com
publicUrl: https://burrow.example.com
listen:
  host: 0.0.0.0
  trustedProxies: [10.0.0.0/8]
\`\`\`

Without TLS, of its own or by the word of a trusted proxy (\`X-Forwarded-Proto: https\`), only loopback names are
served: \`localhost\`, \`*.localhost\`, 127.0.0.0/8 and \`[::1]\`. Under other names of the control host, plain text gets
\`/healthz\`, \`/readyz\`, \`/metrics\` (with its token, if it has one: mind who can read it) and gRPC's health and
reflection, nothing more. Links of agents are refused there with a sentence that says so, unless
\`agents.allowPlaintext\` is set, as for agents in the same cluster:

\`\`\`yaml
agentUrl: http://burrow-relay.burrow.svc:8150
agents:
  allowPlaintext: true
\`\`\`

The names in \`publicUrl\` and \`agentUrl\` are names of the control host, as are \`publicHosts\` and every IP address. A host
that is neither one of these nor an app's gets 421.
`;
