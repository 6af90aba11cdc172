export { channelToDuplex } from './channel-duplex.ts';
export { tuneCollector } from './collector.ts';
