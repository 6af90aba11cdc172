export { acceptGrpc, refuseGrpc, CONNECT_PATH, CONTENT_TYPE } from './accept.ts';
export { dialGrpc } from './dial.ts';
export { GRPC_CLIENT_OPTIONS, GRPC_SERVER_OPTIONS } from './settings.ts';
export { errorFromTrailers, trailersOf } from './status.ts';
