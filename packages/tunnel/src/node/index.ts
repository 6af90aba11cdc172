export { channelToDuplex } from './channel-duplex.ts';
