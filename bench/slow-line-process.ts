/** Runs one SlowLine in a process of its own: `node slow-line-process.ts TARGET_PORT`. Says its port on stdout. */
import { SlowLine } from './slow-line.ts';

const targetPort = Number(process.argv[2]);
if (!Number.isInteger(targetPort) || targetPort < 1 || targetPort > 65_535) {
  console.error('usage: slow-line-process.ts TARGET_PORT');
  process.exit(2);
}
const line = new SlowLine({ targetPort });
console.log(await line.listen());
process.once('SIGTERM', () => void line.close().then(() => process.exit(0)));
