"""A proxy on the loopback address that stands before a real server and does what networks do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal

Fault = Literal["busy", "silent", "cut", "lost"]
_CHUNK_BYTES = 65_536
_BUSY_BODY = b"<Error><Code>SlowDown</Code><Message>no</Message></Error>"
_BUSY = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_BUSY_BODY), _BUSY_BODY)
)
_METHODS = (b"GET ", b"PUT ", b"HEAD ", b"POST ", b"DELETE ")


class FaultyProxy:
    """Passes bytes on, but for what ``fault`` says of a request or a part of its body.

    ``busy`` answers 503 without the server, ``silent`` never answers, ``cut`` passes on all but
    the last byte of the server's answer and hangs up, ``lost`` passes on nothing of it.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.fault: Callable[[bytes], Fault | None] = lambda _: None
        self.requests: list[bytes] = []
        self.faults: list[bytes] = []
        self.at_fault = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def first(self, count: int, fault: Fault, method: bytes = b"") -> None:
        """Let the next ``count`` requests of a method meet a fault."""
        left = [count]

        def decide(chunk: bytes) -> Fault | None:
            if not chunk.startswith(method or _METHODS) or left[0] <= 0:
                return None
            left[0] -= 1
            return fault

        self.fault = decide

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        keep: list[int | None] = [None]  # how much of an answer comes through
        with client, socket.create_connection(("127.0.0.1", self._server_port)) as server:
            back = threading.Thread(target=self._back, args=(server, client, keep), daemon=True)
            back.start()
            with suppress(OSError):
                while chunk := client.recv(_CHUNK_BYTES):
                    if chunk.startswith(_METHODS):
                        self.requests.append(chunk.split(b"\r\n", 1)[0])
                    found = self.fault(chunk)
                    if found is not None:
                        self.faults.append(chunk.split(b"\r\n", 1)[0])
                        self.at_fault.set()
                    if found == "busy":
                        client.sendall(_BUSY)
                        client.shutdown(socket.SHUT_WR)
                        while client.recv(_CHUNK_BYTES):
                            pass
                        break
                    if found == "silent":
                        while client.recv(_CHUNK_BYTES):
                            pass
                        break
                    if found in {"cut", "lost"}:
                        keep[0] = -1 if found == "cut" else 0
                    server.sendall(chunk)
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            back.join(5)

    @staticmethod
    def _back(server: socket.socket, client: socket.socket, keep: list[int | None]) -> None:
        with suppress(OSError):
            while chunk := server.recv(_CHUNK_BYTES):
                if keep[0] is not None:
                    client.sendall(chunk[: keep[0]])
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(chunk)
            client.shutdown(socket.SHUT_WR)


@contextmanager
def faulty_proxy(server_port: int) -> Iterator[FaultyProxy]:
    proxy = FaultyProxy(server_port)
    try:
        yield proxy
    finally:
        proxy.close()
