import type { Scenario } from '../../scenario.ts';
import { bulk, smallFiles } from './bulk.ts';
import { connect } from './connect.ts';
import { keystroke } from './keystroke.ts';
import { memory } from './memory.ts';

export const SSH_SCENARIOS: readonly Scenario[] = [
  ...bulk,
  ...smallFiles,
  connect,
  keystroke,
  memory,
];
