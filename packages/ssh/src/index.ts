export { openAgentChannel } from './agent-channel.ts';
export {
  algorithmsFor,
  CLIENT_ALGORITHMS,
  SERVER_ALGORITHMS,
  type AlgorithmLists,
} from './algorithms.ts';
export { keepHalfOpen, mendOutput, onEndOfWrite, OPEN_FAILURE, refuseChannel } from './channel.ts';
export { certificateSignIn } from './certificate-sign-in.ts';
export { signUserCertificate, USER_EXTENSIONS, type UserCertificate } from './certificate.ts';
export { fingerprintOf } from './fingerprint.ts';
export { generateHostKey, loadOrCreateHostKey, parseHostKey, type HostKey } from './host-key.ts';
export { announcedKeys, announceHostKeys, hostKeysProof, type AnnouncedKeys } from './host-keys.ts';
export { channelOpen, globalRequest, MESSAGE, sshString, uint32 } from './messages.ts';
export { DISCONNECT, disconnect, sendBanner } from './notices.ts';
export {
  MAX_KEY_LINE_BYTES,
  parsePublicKey,
  PublicKeyError,
  type PublicKey,
} from './public-key.ts';
export {
  offerAlgorithms,
  onMessage,
  sendMessage,
  streamOf,
  tune,
  type SshConnection,
} from './raw-connection.ts';
export { isSigned } from './signature.ts';
