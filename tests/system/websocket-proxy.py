"""Joins a WebSocket with standard input and output: a ProxyCommand without Burrow's own program.

usage: websocket-proxy.py URL   (the token is in the environment: BURROW_TOKEN)
"""

import asyncio
import os
import sys

import websockets


async def main(url: str) -> None:
    headers = {"Authorization": "Bearer " + os.environ["BURROW_TOKEN"]}
    named = "additional_headers" if int(websockets.__version__.split(".")[0]) >= 14 else "extra_headers"
    async with websockets.connect(url, compression=None, max_size=None, **{named: headers}) as socket:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)

        async def upload() -> None:
            while chunk := await reader.read(65536):
                await socket.send(chunk)
            await socket.close()

        sending = asyncio.create_task(upload())
        try:
            async for message in socket:
                await loop.run_in_executor(None, write, message)
        except websockets.ConnectionClosed:
            pass
        sending.cancel()
        if socket.close_code not in (1000, 1001):
            sys.stderr.write(f"{socket.close_code} {socket.close_reason}\n")


def write(message: bytes) -> None:
    sys.stdout.buffer.write(message)
    sys.stdout.buffer.flush()


asyncio.run(main(sys.argv[1]))
