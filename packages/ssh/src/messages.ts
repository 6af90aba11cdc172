/** Message numbers that are handled by hand (RFC 4250 4.1.2). */
export const MESSAGE = {
  DISCONNECT: 1,
  USERAUTH_REQUEST: 50,
  USERAUTH_BANNER: 53,
  GLOBAL_REQUEST: 80,
  REQUEST_SUCCESS: 81,
  REQUEST_FAILURE: 82,
  CHANNEL_OPEN: 90,
  CHANNEL_OPEN_CONFIRMATION: 91,
  CHANNEL_OPEN_FAILURE: 92,
  CHANNEL_WINDOW_ADJUST: 93,
  CHANNEL_DATA: 94,
  CHANNEL_EXTENDED_DATA: 95,
  CHANNEL_EOF: 96,
  CHANNEL_CLOSE: 97,
  CHANNEL_REQUEST: 98,
} as const;

/**
 * What a GLOBAL_REQUEST asks for and whether it wants a reply (RFC 4254 4);
 * undefined for any other message, and for one that is cut short.
 */
export function globalRequest(
  payload: Buffer,
): { readonly name: string; readonly wantsReply: boolean } | undefined {
  if (payload[0] !== MESSAGE.GLOBAL_REQUEST || payload.length < 6) return undefined;
  const end = 5 + payload.readUInt32BE(1);
  if (end >= payload.length) return undefined;
  return { name: payload.toString('latin1', 5, end), wantsReply: payload[end] !== 0 };
}

/** Type and sender of a CHANNEL_OPEN (RFC 4254 5.1). */
export function channelOpen(
  payload: Buffer,
): { readonly type: string; readonly sender: number } | undefined {
  if (payload[0] !== MESSAGE.CHANNEL_OPEN || payload.length < 9) return undefined;
  const end = 5 + payload.readUInt32BE(1);
  if (end + 4 > payload.length) return undefined;
  return { type: payload.toString('latin1', 5, end), sender: payload.readUInt32BE(end) };
}

/** `string` of RFC 4251 5: its length, then its bytes. */
export function sshString(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value as string);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
