"""Small servers that tests tell things to: one that takes mail, one that takes HTTP requests."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Listener:
    """What was received, and on which port."""

    def __init__(self) -> None:
        self.port = 0
        self.received: list[str] = []
        self.status = 200


@contextmanager
def http() -> Iterator[Listener]:
    """Takes any request: `GET /path` or `POST /path body`."""
    listener = Listener()

    class Requests(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._take("")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._take(" " + body.decode("utf-8", "replace"))

        def _take(self, body: str) -> None:
            listener.received.append(f"{self.command} {self.path}{body}")
            self.send_response(listener.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Requests) as server:
        yield from _serve(server, listener)


@contextmanager
def smtp() -> Iterator[Listener]:
    """Takes mail, as little of RFC 5321 as a polite sender needs."""
    listener = Listener()

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 listener")
            for line in self.rfile:
                match line.strip().upper().split(b" ")[0].split(b":")[0]:
                    case b"DATA":
                        self._say("354 go on")
                        listener.received.append(self._mail())
                        self._say("250 taken")
                    case b"QUIT":
                        self._say("221 bye")
                        return
                    case _:
                        self._say("250 well")

        def _mail(self) -> str:
            lines = []
            for line in self.rfile:
                if line == b".\r\n":
                    break
                lines.append(line.decode("utf-8", "replace"))
            return "".join(lines)

        def _say(self, text: str) -> None:
            self.wfile.write(text.encode() + b"\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        server.daemon_threads = True
        yield from _serve(server, listener)


def _serve(server: socketserver.TCPServer, listener: Listener) -> Iterator[Listener]:
    listener.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield listener
    finally:
        server.shutdown()
        thread.join()
