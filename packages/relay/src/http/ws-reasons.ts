/** What a WebSocket is told when the gateway ends it; at most 123 bytes each. */
export const RESTARTING = 'The relay is being restarted; connect again.';
export const ACCESS_GONE =
  'Your access to this workspace was taken away, or the workspace is gone.';
