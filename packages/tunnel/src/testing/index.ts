export * from './link-pair.ts';
export * from './recorder.ts';
