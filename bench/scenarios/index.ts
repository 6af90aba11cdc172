import type { Scenario } from '../scenario.ts';
import { download } from './download.ts';
import { firstByteMs } from './first-byte.ts';
import { httpC1 } from './http-c1.ts';
import { httpC32 } from './http-c32.ts';
import { idleLink } from './idle-link.ts';
import { SSH_SCENARIOS } from './ssh/index.ts';
import { twoRelays } from './two-relays.ts';
import { upload } from './upload.ts';
import { wanDownload } from './wan-download.ts';
import { wanKeystroke } from './wan-keystroke.ts';
import { wsEcho } from './ws-echo.ts';

export const SCENARIOS: readonly Scenario[] = [
  httpC32,
  httpC1,
  download,
  upload,
  wsEcho,
  idleLink,
  firstByteMs,
  twoRelays,
  wanDownload,
  wanKeystroke,
  ...SSH_SCENARIOS,
];
