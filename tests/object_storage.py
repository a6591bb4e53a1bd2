"""A real S3 server on this machine, and a network before it that breaks when told to."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>try later</Message></Error>"
_HEADERS = b"HTTP/1.1 503 Slow Down\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
BUSY = _HEADERS % len(_SLOW_DOWN) + _SLOW_DOWN
START_S = 120


class S3Server:
    """Moto's server in a process of its own; `url` is where it listens."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _wait_for(self.port, self._process)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    @contextmanager
    def only_for_known_keys(self) -> Iterator[tuple[str, str]]:
        """From here on requests must be signed by a key that the server knows: this one."""
        import boto3

        keys = boto3.client("iam", endpoint_url=self.url, region_name="us-east-1")
        keys.create_user(UserName="singer")
        allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        keys.put_user_policy(UserName="singer", PolicyName="all", PolicyDocument=policy)
        key = keys.create_access_key(UserName="singer")["AccessKey"]
        self._unsigned_requests("0")
        try:
            yield key["AccessKeyId"], key["SecretAccessKey"]
        finally:
            self._unsigned_requests("inf")

    def _unsigned_requests(self, count: str) -> None:
        headers = {"Content-Type": "text/plain"}
        request = urllib.request.Request(
            f"{self.url}/moto-api/reset-auth", data=count.encode(), headers=headers, method="POST"
        )
        urllib.request.urlopen(request).close()


class GcsServer:
    """An emulator of Google's storage in a process of its own; `url` is where it listens."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        # It answers one connection at a time, and clients keep theirs.
        code = "import http.server, sys; http.server.HTTPServer = http.server.ThreadingHTTPServer\n"
        code += "from gcp_storage_emulator.server import create_server\n"
        code += "create_server('127.0.0.1', int(sys.argv[1]), in_memory=True).run()"
        command = [sys.executable, "-c", code, str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _wait_for(self.port, self._process)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_S
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        assert process.poll() is None, "the server has ended"
        assert time.monotonic() < deadline, "the server does not start"
        time.sleep(0.05)


class BadNetwork:
    """Passes connections on to a port, until it is told to fail.

    Attributes:
        sent, received: bytes passed on so far, to the server and from it.
        breaks_after_sent, breaks_after_received: bytes after which connections, also new ones, are cut.
        stalls_after_sent: bytes after which nothing more is passed on, while connections stay open.
        busy: how many further requests are answered with 503 instead of by the server.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self.mend()
        threading.Thread(target=self._accept, daemon=True).start()

    def mend(self) -> None:
        self.sent = self.received = self.busy = 0
        self.breaks_after_sent = self.breaks_after_received = self.stalls_after_sent = sys.maxsize
        self.cut()

    def cut(self) -> None:
        """Close all connections, as they are."""
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._open = []

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._is_broken():
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._port))
            self._open += [client, server]
            for one, other, up in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass_on, args=(one, other, up), daemon=True).start()

    def _is_broken(self) -> bool:
        return self.sent >= self.breaks_after_sent or self.received >= self.breaks_after_received

    def _pass_on(self, one: socket.socket, other: socket.socket, up: bool) -> None:
        with suppress(OSError):
            while data := one.recv(1 << 16):
                if up and self.busy > 0:
                    self.busy -= 1
                    one.sendall(BUSY)
                    break
                while up and self.sent >= self.stalls_after_sent:
                    time.sleep(0.01)
                other.sendall(data)
                if up:
                    self.sent += len(data)
                else:
                    self.received += len(data)
                if self._is_broken():
                    self.cut()
        for connection in (one, other):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def environment(url: str, key: str = "key", secret: str = "secret") -> dict[str, str]:
    """What a process needs to find the server."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",  # the client waits for seconds between more of them
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
