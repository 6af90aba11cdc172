/** A WebSocket echo server in a process of its own: `node echo-process.ts PORT`. */
import { WebSocketServer } from 'ws';

const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(process.argv[2]),
  perMessageDeflate: false,
});
server.on('connection', (socket, request) => {
  request.socket.setNoDelay(true);
  socket.on('message', (data, binary) => socket.send(data, { binary }));
});
process.once('SIGTERM', () => process.exit(0));
