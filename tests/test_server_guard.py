"""The studio's gate by itself: by which names it may be called, and whose token it knows."""

import asyncio
from pathlib import Path

import httpx
import pytest

pytest.importorskip("fastapi")

from starlette.responses import PlainTextResponse

from stemwise.errors import ConfigError
from stemwise.server import Settings
from stemwise.server.guard import Guard


def test_a_server_answers_to_its_names_in_either_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "DESKTOP-AB12")
    monkeypatch.setattr("socket.getfqdn", lambda: "Desktop-AB12.Home.arpa")
    away = Settings(data=tmp_path, host="0.0.0.0", token="a long secret", names=("Studio.example",))
    names = ("desktop-ab12", "DESKTOP-AB12", "desktop-ab12.home.arpa", "studio.example", "LocalHost")
    assert [name for name in names if not away.answers_to(name)] == []
    assert not away.answers_to("evil.example")
    here = Settings(data=tmp_path, names=("Studio.example",))
    assert [here.answers_to(name) for name in ("studio.example", "desktop-ab12")] == [True, False]


@pytest.mark.parametrize("token", ["ein großes Geheimnis", "a long\nsecret"])
def test_a_token_is_what_any_header_can_hold(tmp_path: Path, token: str) -> None:
    with pytest.raises(ConfigError, match=r"^token has characters .*: it must be printable ASCII$"):
        Settings(data=tmp_path, token=token)


@pytest.mark.parametrize(
    "others", ["", "theme=a b; ", 'prefs={"volume": 1}; ', "a[b]=1; ", "ä=ö; ", "=; nothing; "]
)
def test_the_token_is_found_among_other_services_cookies(tmp_path: Path, others: str) -> None:
    settings = Settings(data=tmp_path, host="0.0.0.0", token="a long secret")
    guard = Guard(PlainTextResponse("in"), settings)

    async def scene() -> None:
        transport = httpx.ASGITransport(guard)
        async with httpx.AsyncClient(transport=transport, base_url="http://192.168.1.5:8765") as client:
            entered = await client.get("/", params={"token": settings.token})
            cookie, *options = entered.headers["set-cookie"].split("; ")
            assert {"HttpOnly", "SameSite=lax"} <= set(options)
            for sent in (f"{others}{cookie}", f"{cookie}; {others}"):
                answer = await client.get("/api/songs", headers={"Cookie": sent.encode()})
                assert answer.text == "in"
            assert (await client.get("/api/songs", headers={"Cookie": others.encode()})).status_code == 401

    asyncio.run(scene())
