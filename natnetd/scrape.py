"""The HTTP endpoint of the metrics: idle and hostile clients cost little and block nobody."""

import logging
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from natnetd.errors import HostError

log = logging.getLogger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
CLIENTS = 16  # at one time; one more pushes out the oldest
PATIENCE = 5.0  # seconds a client may take for each step


class Handler(BaseHTTPRequestHandler):
    """Answers GET /metrics."""

    server: "Endpoint"
    timeout = PATIENCE

    def do_GET(self) -> None:  # http.server's name
        """Send the metrics, or say where they are."""
        if self.path.partition("?")[0] == "/metrics":
            self.reply(HTTPStatus.OK, self.server.render(), CONTENT_TYPE)
        elif self.path == "/":
            self.reply(
                HTTPStatus.OK, b'<a href="/metrics">metrics of natnetd</a>\n', "text/html; charset=utf-8"
            )
        else:
            self.reply(HTTPStatus.NOT_FOUND, b"see /metrics\n", "text/plain; charset=utf-8")

    def reply(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        """Send one answer and be done with the client."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name
        """Say nothing of each scrape."""


class Endpoint(ThreadingHTTPServer):
    """Serves in threads, a bounded number of clients at a time."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, render: Callable[[], bytes]) -> None:
        """Listen. Raises HostError: the address is not ours, or the port is taken."""
        self.render = render
        self.clients: OrderedDict[int, socket.socket] = OrderedDict()
        self.lock = threading.Lock()
        self.stopped = False
        self.thread = threading.Thread(target=self.serve, name="metrics", daemon=True)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), Handler)
        except OSError as error:
            where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            raise HostError(f"cannot serve metrics at {where}: {error.strerror}") from error

    def server_bind(self) -> None:
        """Bind, without asking DNS for our own name as http.server does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "localhost", self.socket.getsockname()[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take one more client, and leave the oldest one if they are too many."""
        with self.lock:
            self.clients[request.fileno()] = request
            if len(self.clients) > CLIENTS:
                _fd, oldest = self.clients.popitem(last=False)
                with suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget a client that was served."""
        with self.lock:
            for fd in [fd for fd, kept in self.clients.items() if kept is request]:
                del self.clients[fd]
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""
        log.debug("a client of the metrics went away: %s, %s", client_address, request)

    def start(self) -> None:
        """Serve in the background."""
        self.thread.start()

    def serve(self) -> None:
        """Take clients in until stopped; `serve_forever` would wake twice a second to ask whether it is."""
        while not self.stopped:
            self.handle_request()

    def stop(self) -> None:
        """Stop serving and free the port, at once."""
        self.stopped = True
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.server_close()
