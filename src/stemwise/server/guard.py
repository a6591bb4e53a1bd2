"""Who may ask at all: the one gate in front of every route.

A page of another site in the same browser can send requests here. It cannot read the answers, but could start
and delete; and with its own name pointed at this machine it could read too. So `Host` must be a name of ours,
`Origin` must be that very host, what changes something must come from our page or say `X-Stemwise`, and where
others can reach the server there is a token.
"""

import hmac
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stemwise.server.settings import Settings

COOKIE = "stemwise_token"
MAX_BODY = 64 * 1024  # bytes, of everything but uploads
UPLOAD = ("POST", "/api/songs")
SAFE = ("GET", "HEAD", "OPTIONS")
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'{nonce}; style-src 'self'{nonce};"
    " img-src 'self'; media-src 'self' blob:; connect-src 'self'; font-src 'self'; worker-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def policy(nonce: str = "") -> str:
    """The content security policy, with a nonce for what stands in the page itself."""
    return POLICY.format(nonce=f" 'nonce-{nonce}'" if nonce else "")


class Guard:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            refusal = self._refusal(scope, Headers(scope=scope))
            answer = self.app if refusal is None else refusal
            await answer(scope, _limited(scope, receive), _with_headers(send))

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if len(headers.getlist("host")) != 1 or not self.settings.answers_to(_name(host)):
            return _no(400, "this server is not called by that name")
        origin, is_safe = headers.get("origin"), scope["method"] in SAFE
        if origin is not None and origin.lower() not in (f"http://{host}".lower(), f"https://{host}".lower()):
            return _no(403, "requests of other sites are refused")
        site = headers.get("sec-fetch-site", "same-origin")  # browsers say it, other programs need not
        if scope["path"].startswith("/api") and site not in ("same-origin", "none"):
            return _no(403, "requests of other sites are refused")
        if not is_safe and origin is None and "x-stemwise" not in headers and "authorization" not in headers:
            return _no(403, "send the header X-Stemwise: 1 with what changes something")
        return self._without_token(scope, headers)

    def _without_token(self, scope: Scope, headers: Headers) -> Response | None:
        token = self.settings.token
        if token is None:
            return None
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        if scope["path"] == "/" and scope["method"] == "GET" and asked and _equal(asked[0], token):
            entrance = RedirectResponse("/", 303)
            # lax: browsers keep strict ones back on the redirect when the address was opened from a mail
            entrance.set_cookie(COOKIE, token, max_age=30 * 86_400, httponly=True, samesite="lax")
            return entrance
        scheme, _, shown = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _equal(shown.strip(), token):
            return None
        if _equal(_cookie(headers), token):
            return None
        return _no(401, "a token is needed: open the address that the server printed")


def _no(status: int, detail: str) -> Response:
    return JSONResponse({"detail": detail}, status)


def _name(host: str) -> str:
    """The host of `host:port` or `[::1]:port`."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _equal(shown: str, token: str) -> bool:
    return hmac.compare_digest(shown.encode("utf-8", "replace"), token.encode())


def _cookie(headers: Headers) -> str:
    """The token among the cookies of all that this host serves, some of which keep to no standard."""
    return cookie_parser(headers.get("cookie", "")).get(COOKIE, "")


def _limited(scope: Scope, receive: Receive) -> Receive:
    """Bodies no larger than `MAX_BODY`; uploads have a limit of their own."""
    if (scope["method"], scope["path"]) == UPLOAD:
        return receive
    n_bytes = 0

    async def limited() -> Message:
        nonlocal n_bytes
        message = await receive()
        n_bytes += len(message.get("body", b""))
        if n_bytes > MAX_BODY:
            raise HTTPException(413, f"the request has more than {MAX_BODY} bytes")
        return message

    return limited


def _with_headers(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.setdefault("Content-Security-Policy", policy())
            headers.setdefault("Cache-Control", "no-store")
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return guarded
