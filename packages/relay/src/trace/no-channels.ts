import { RelayError } from '../errors.ts';
import type { Tracing } from './contracts.ts';

/** Where nothing is connected. */
export const NO_CHANNELS: Pick<Tracing, 'list' | 'trace'> = {
  list: async () => ({ channels: [], more: false, problems: [] }),
  trace: () => Promise.reject(new RelayError('not-found', 'There are no channels here.')),
};
