"""A Burrow agent in another language, written from tunnel.proto alone.

Usage: python-agent.py STUBS_DIR. Reads BURROW_RELAY_URL and BURROW_AGENT_TOKEN.
Prints "welcome <workload>" once its link is up. Serves TCP ports on loopback,
with flow control in both directions; one thread per direction of a channel.
"""

import os
import queue
import socket
import sys
import threading
import urllib.parse

sys.path.insert(0, sys.argv[1])

import grpc  # noqa: E402
from burrow.tunnel.v1 import tunnel_pb2 as pb  # noqa: E402
from burrow.tunnel.v1 import tunnel_pb2_grpc as rpc  # noqa: E402

WINDOW = 256 * 1024
SLICE = 64 * 1024


class Channel:
    """One byte stream between the relay and a socket on loopback."""

    def __init__(self, link, opened):
        self.link = link
        self.number = opened.channel
        self.limit = opened.initial_window
        self.sent = 0
        self.got = 0
        self.changed = threading.Condition()
        self.incoming = queue.Queue()
        self.over = False
        threading.Thread(target=self.run, args=(opened.target,), daemon=True).start()

    def run(self, target):
        if target.WhichOneof("kind") != "tcp_port":
            self.reset(pb.RESET_CODE_UNSUPPORTED, "the Python agent serves TCP ports only")
            return
        try:
            self.socket = socket.create_connection(("127.0.0.1", target.tcp_port))
        except OSError as error:
            self.reset(pb.RESET_CODE_NOTHING_LISTENS, f"port {target.tcp_port}: {error}")
            return
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.link.send(opened=pb.Opened(channel=self.number, initial_window=WINDOW))
        threading.Thread(target=self.upwards, daemon=True).start()
        self.downwards()

    def reset(self, code, reason):
        self.over = True
        self.link.send(reset=pb.Reset(channel=self.number, code=code, reason=reason[:512]))

    def downwards(self):
        """From the relay to the socket; says what was handed on."""
        while True:
            payload = self.incoming.get()
            if payload is None:
                self.socket.shutdown(socket.SHUT_WR)
                self.got += 1  # Fin takes one offset
            else:
                try:
                    self.socket.sendall(payload)
                except OSError as error:
                    self.reset(pb.RESET_CODE_TARGET_CLOSED, str(error))
                    return
                self.got += len(payload)
            self.link.send(
                credit=pb.Credit(channel=self.number, acked=self.got, limit=self.got + WINDOW)
            )
            if payload is None:
                return

    def upwards(self):
        """From the socket to the relay, within the credit that it gave."""
        while not self.over:
            with self.changed:
                while self.limit <= self.sent and not self.over:
                    self.changed.wait()
                room = min(SLICE, self.limit - self.sent)
            try:
                payload = self.socket.recv(room)
            except OSError as error:
                self.reset(pb.RESET_CODE_TARGET_CLOSED, str(error))
                return
            if not payload:
                self.link.send(fin=pb.Fin(channel=self.number, offset=self.sent))
                return
            self.link.send(data=pb.Data(channel=self.number, offset=self.sent, payload=payload))
            self.sent += len(payload)

    def credit(self, limit):
        with self.changed:
            self.limit = max(self.limit, limit)
            self.changed.notify()

    def stop(self):
        with self.changed:
            self.over = True
            self.changed.notify()


class Link:
    def __init__(self, stub, token):
        self.outgoing = queue.Queue()
        self.channels = {}
        self.send(
            hello=pb.Hello(
                revision=1,
                min_revision=1,
                instance_id=os.urandom(16),
                software="python-agent/1",
                label="python",
            )
        )
        self.frames = stub.Connect(
            iter(self.outgoing.get, None), metadata=(("authorization", f"Bearer {token}"),)
        )

    def send(self, **kind):
        self.outgoing.put(pb.Frame(**kind))

    def run(self):
        for frame in self.frames:
            kind = frame.WhichOneof("kind")
            if kind == "welcome":
                print(f"welcome {frame.welcome.workload}", flush=True)
            elif kind == "ping":
                self.send(pong=pb.Pong(token=frame.ping.token))
            elif kind == "open":
                self.channels[frame.open.channel] = Channel(self, frame.open)
            elif kind in ("data", "fin", "credit", "reset"):
                self.on_channel(kind, getattr(frame, kind))
            # Other kinds mean nothing here; unknown ones are ignored.

    def on_channel(self, kind, message):
        channel = self.channels.get(message.channel)
        if channel is None:
            return
        if kind == "data":
            channel.incoming.put(message.payload)
        elif kind == "fin":
            channel.incoming.put(None)
        elif kind == "credit":
            channel.credit(message.limit)
        else:
            channel.stop()
            del self.channels[message.channel]


address = urllib.parse.urlsplit(os.environ["BURROW_RELAY_URL"]).netloc
with grpc.insecure_channel(address) as connection:
    try:
        Link(rpc.TunnelServiceStub(connection), os.environ["BURROW_AGENT_TOKEN"]).run()
    except grpc.RpcError as error:
        trailers = dict(error.trailing_metadata() or ())
        print(f"refused {error.code().name} {trailers.get('burrow-error-code', '-')}", flush=True)
        sys.exit(1)
