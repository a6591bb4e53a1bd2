"""News of songs, from any thread to all who watch; who is slow hears of each song's last state only."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

KEEP_ALIVE_S = 15.0
MAX_WATCHERS = 200


class Events:
    """Watchers live in the event loop; `publish` may be called from anywhere."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watchers: set[_Watcher] = set()

    def open(self) -> None:
        """Begin; called in the event loop."""
        self._loop = asyncio.get_running_loop()

    @property
    def is_full(self) -> bool:
        return len(self._watchers) >= MAX_WATCHERS

    def publish(self, event: str, data: dict[str, Any]) -> None:
        """Tell every watcher; `data` has the song's `id`."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended: there is nobody to tell
                self._loop.call_soon_threadsafe(self._tell, event, data)

    def close(self) -> None:
        """End every watcher's stream; may be called from anywhere."""
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._tell, "", {"id": ""})

    async def watch(self, list_first: Callable[[], Awaitable[list[dict[str, Any]]]]) -> AsyncIterator[str]:
        """Server-sent events: the songs that are listed first, then every change, and a comment every 15 s.

        Source: the format is that of the HTML standard, section 9.2.
        """
        watcher = _Watcher()
        self._watchers.add(watcher)
        try:
            yield "retry: 2000\n\n"
            for song in await list_first():
                watcher.pending.setdefault(song["id"], ("song", song))  # what came meanwhile is newer
            watcher.is_news.set()
            while True:
                try:
                    await asyncio.wait_for(watcher.is_news.wait(), KEEP_ALIVE_S)
                except asyncio.TimeoutError:
                    yield ": still here\n\n"
                for event, data in watcher.take():
                    if not event:
                        return
                    yield f"event: {event}\ndata: {json.dumps(data)}\n\n"
        finally:
            self._watchers.discard(watcher)

    def _tell(self, event: str, data: dict[str, Any]) -> None:
        for watcher in self._watchers:
            watcher.pending[data["id"]] = (event, data)
            watcher.is_news.set()


class _Watcher:
    """What one page has not heard yet: of each song one event."""

    def __init__(self) -> None:
        self.pending: dict[str, tuple[str, dict[str, Any]]] = {}
        self.is_news = asyncio.Event()

    def take(self) -> list[tuple[str, dict[str, Any]]]:
        news = list(self.pending.values())
        self.pending.clear()
        self.is_news.clear()
        return news
