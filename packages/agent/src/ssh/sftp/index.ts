export { serveSftp, type SftpChannel, type SftpOptions } from './serve.ts';
