// Builds dist/burrow-agent.mjs: the whole agent in one file, for Node 20 and newer.
//   node scripts/build-agent.mjs [--outfile FILE]
import { build } from 'esbuild';
import { stat } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** ssh2 looks for native add-ons and goes on without them; in one file they cannot be. */
const withoutNativeSsh2 = {
  name: 'without-native-ssh2',
  setup(build) {
    build.onResolve({ filter: /sshcrypto\.node$|^cpu-features$/ }, () => ({
      path: 'native',
      namespace: 'absent',
    }));
    build.onLoad({ filter: /.*/, namespace: 'absent' }, () => ({
      contents: "throw new Error('not in this file');",
      loader: 'js',
    }));
  },
};

/** Bundles the agent. Returns the size in bytes. */
export async function buildAgent(outfile = join(root, 'dist/burrow-agent.mjs')) {
  await build({
    absWorkingDir: root,
    entryPoints: ['packages/agent/src/main.ts'],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20.10',
    format: 'esm',
    // Names stay, so that a stack in a log can be read.
    minifyWhitespace: true,
    minifySyntax: true,
    keepNames: false,
    legalComments: 'inline',
    sourcemap: false,
    logLevel: 'warning',
    // `ws` would otherwise look for native add-ons beside the file.
    plugins: [withoutNativeSsh2],
    define: { 'process.env.WS_NO_BUFFER_UTIL': '"1"', 'process.env.WS_NO_UTF_8_VALIDATE': '"1"' },
    banner: {
      js: [
        '#!/usr/bin/env node',
        '// Burrow agent. MIT licence.',
        "import { createRequire as __createRequire } from 'node:module';",
        'const require = __createRequire(import.meta.url);',
        // Asked for by the SSH library's WebAssembly, which is inside.
        "const __dirname = '/';",
      ].join('\n'),
    },
  });
  return (await stat(outfile)).size;
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const at = process.argv.indexOf('--outfile');
  const outfile =
    at < 0 ? join(root, 'dist/burrow-agent.mjs') : resolve(process.argv[at + 1] ?? '');
  const size = await buildAgent(outfile);
  process.stdout.write(`${relative(process.cwd(), outfile)}: ${(size / 1024).toFixed(0)} KiB\n`);
}
