# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A web server on this machine that serves one file, with the faults of real ones."""

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """What is served, how, and what was asked for.

    Attributes:
        content: the file.
        ranges: whether it can send the rest of a file.
        etag: the version; None sends none.
        break_after: how many bytes of each answer come before the connection breaks; None: all.
        errors: status codes to answer with, one a request, before the file is served.
        announces_length: whether it says how long the file is.
        raw: a whole answer to send instead, from its status line on.
    """

    content: bytes = b""
    ranges: bool = True
    etag: str | None = '"v1"'
    break_after: int | None = None
    errors: list[int] = field(default_factory=list)
    announces_length: bool = True
    raw: bytes | None = None
    requested: list[str | None] = field(default_factory=list)
    port: int = 0

    def url(self, name="pose.pt"):
        """Return the address of the file under a name."""
        return f"http://127.0.0.1:{self.port}/{name}"

    @contextmanager
    def running(self):
        """Serve as long as the context lasts."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def _handler(self):
        serve = self._serve

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                serve(self)

            def log_message(self, *_):
                pass

        return Handler

    def _serve(self, request):
        self.requested.append(request.headers.get("Range"))
        if self.raw is not None:
            request.wfile.write(self.raw)
            return
        if self.errors:
            request.send_error(self.errors.pop(0))
            return
        start = self._start(request)
        if start is not None and start >= len(self.content):
            request.send_error(416)
            return
        request.send_response(200 if start is None else 206)
        body = self.content[start or 0 :]
        if start is not None:
            last = len(self.content) - 1
            request.send_header("Content-Range", f"bytes {start}-{last}/{len(self.content)}")
        if self.announces_length:
            request.send_header("Content-Length", str(len(body)))
        if self.etag:
            request.send_header("ETag", self.etag)
        request.end_headers()
        request.wfile.write(body[: self.break_after])

    def _start(self, request):
        asked = request.headers.get("Range")
        same = request.headers.get("If-Range") == self.etag
        if self.ranges and asked and same:
            return int(asked.removeprefix("bytes=").removesuffix("-"))
        return None
