export { createClients } from './clients.ts';
export type {
  ClientAudit,
  Clients,
  ClientsLog,
  ClientsOptions,
  ClientsSettings,
} from './contracts.ts';
export { CLIENT_LIMITS, type ClientLimits } from './limits.ts';
