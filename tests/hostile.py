"""HTTP requests, as bytes, that nobody with good intentions sends to the studio."""

from collections.abc import Iterator

FORM, JSON = "multipart/form-data; boundary=b", "application/json"
TRICKS = (
    *("..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "%00", "....//", "..\\..\\", "%c0%ae", "~root", "//", "*"),
    *("%ff", ";", "con", "a" * 5000),
)
PLACES = ("/{}", "/{}/etc/passwd", "/api/songs/{}", "/api/songs/ID/stems/{}", "/api/{}", "/assets/{}")
RANGES = (
    *("bytes=0-0,1-1", "bytes=" + "0-1," * 5000, "bytes=9-1", "bytes=-", "bytes=a-b", "lines=1-2"),
    *("bytes=-0", "bytes=0-" + "9" * 30, "bytes=0-9, 5-20, 40-", "bytes=,"),
)
KINDS = (
    *("multipart/form-data", "multipart/form-data; boundary=", f"multipart/form-data; boundary={'b' * 5000}"),
    *("multipart/mixed; boundary=b", "text/xml", 'multipart/form-data; boundary="ü"'),
)
MIXES = (
    *("gains=vocals:nan", "gains=vocals:1e999", "gains=:::", "pans=vocals:-9", "start_s=nan", "end_s=-1"),
    *("start_s=inf", "start_s=1e300", "codec=exe", "gains=" + "vocals:1," * 500, "gains=%ff%00:1", "gains="),
)
LISTS = (
    "limit=-1",
    "limit=1e9",
    "offset=" + "9" * 40,
    "state=none",
    "search=%00%ff%ed%a0%80",
    "search=%25_'",
)
BODIES = (
    *('{"path": 1}', "[]", "null", '{"path": "\\ud800"}', '{"path": "a", "model": {}}', "{" * 1000, "ü", ""),
    *('{"path": "x", "two_stems": "\\u0000"}', '{"path": "\\u0000"}', '{"path": 1e999}'),
)
FILENAMES = ("../../../tmp/evil.wav", "/etc/cron.d/evil", "a\0b", "x" * 5000, "C:\\evil.wav", "", "..", "CON")
METHODS = (
    *("TRACE / HTTP/1.1", "CONNECT evil:80 HTTP/1.1", "GET http://evil/ HTTP/1.1", "OPTIONS * HTTP/1.1"),
    *("PUT /api/songs/ID HTTP/1.1", "DELETE /api/songs/ID%00 HTTP/1.1", "HEAD /api/songs/ID HTTP/1.1"),
)


def requests(host: str, id: str) -> Iterator[bytes]:
    """All of them, for a server at this host and port that has a song of this id."""
    head = f"Host: {host}\r\nX-Stemwise: 1\r\nConnection: close\r\n"
    for line, extra, body in _requests():
        yield f"{line.replace('ID', id)}\r\n{head}{extra}\r\n".encode() + body
    for broken in ("GARBAGE\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\0" * 1000, "\r\n" * 1000):
        yield broken.encode()


def _requests() -> Iterator[tuple[str, str, bytes]]:
    """First line, further headers, body."""
    for trick in TRICKS:
        for place in PLACES:
            yield f"GET {place.format(trick)} HTTP/1.1", "", b""
    for span in RANGES:
        yield "GET /api/songs/ID/stems/vocals HTTP/1.1", f"Range: {span}\r\n", b""
    for query in MIXES:
        yield f"GET /api/songs/ID/mix?{query} HTTP/1.1", "", b""
    for query in LISTS:
        yield f"GET /api/songs?{query} HTTP/1.1", "", b""
    for method in METHODS:
        yield method, "", b""
    yield "GET /api/status HTTP/1.1", "Host: another\r\n", b""
    yield "GET /api/status HTTP/1.1", f"Cookie: {'=;' * 999}\r\n", b""
    yield "GET /api/status HTTP/1.1", "Upgrade: websocket\r\nConnection: Upgrade\r\n", b""
    yield "POST /api/songs HTTP/1.1", "Content-Length: -1\r\n", b""
    yield from _large()
    yield from _forms()
    for text in BODIES:
        yield _post("/api/songs/from-path", JSON, text.encode("latin-1"))


def _large() -> Iterator[tuple[str, str, bytes]]:
    for n_bytes in (1000, 10_000, 100_000, 1_000_000):
        yield "GET /api/status HTTP/1.1", f"X-Long: {'x' * n_bytes}\r\n", b""
        yield "GET /api/status HTTP/1.1", "X-Many: x\r\n" * (n_bytes // 10), b""
        yield f"GET /api/songs?search={'x' * n_bytes} HTTP/1.1", "", b""
        yield _post("/api/songs/from-path", JSON, b"[" * n_bytes)
        yield _post("/api/songs/ID/cancel", JSON, b"[" * n_bytes)


def _forms() -> Iterator[tuple[str, str, bytes]]:
    for body in _bodies():
        yield _post("/api/songs", FORM, body.encode())
        line, headers, data = _post("/api/songs", FORM, body.encode() + bytes(1000))
        yield line, headers, data[:-1000]  # and then hangs up
        chunked = f"Content-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n"
        yield line, chunked, f"{len(body.encode()):x}\r\n{body}\r\n0\r\n\r\n".encode()
    for kind in KINDS:
        yield _post("/api/songs", kind, b"abc")


def _bodies() -> Iterator[str]:
    yield from (
        "",
        "--b",
        "--b--",
        "--b\r\n--b\r\n--b--",
        "--b\r\n\r\n\r\n--b--\r\n",
        "--b\r\nX\r\n\r\n--b--",
    )
    yield "\0" * 100
    for filename in FILENAMES:
        yield _part(f'form-data; name="file"; filename="{filename}"') + "--b--\r\n"
    yield _part('form-data; name="../file"; filename="evil"') + "--b--\r\n"
    yield _part("form-data; name*=utf-8''file; filename*=utf-8''%2e%2e%2fevil") + "--b--\r\n"
    yield _part('form-data; name="file"\r\nContent-Transfer-Encoding: base64') + "--b--\r\n"
    yield _part('form-data; name="file"' + "\r\nX-Header: 1" * 500) + "--b--\r\n"
    yield _part('form-data; name="a"') * 50 + "--b--\r\n"
    yield _part('form-data; name="model"', "x" * 100_000) + "--b--\r\n"


def _part(disposition: str, content: str = "x") -> str:
    return f"--b\r\nContent-Disposition: {disposition}\r\n\r\n{content}\r\n"


def _post(path: str, kind: str, body: bytes) -> tuple[str, str, bytes]:
    return f"POST {path} HTTP/1.1", f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n", body
