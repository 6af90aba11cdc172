export { certificateFault } from './certificate-fault.ts';
export { OutboundError } from './outbound-error.ts';
export { proxyFor } from './proxy.ts';
export { endpointOf, openRawSocket, type RawSocketOptions } from './raw-socket.ts';
