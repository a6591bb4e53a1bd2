"""What a failure means: try again later, go on without the song, wait for better times, or stop.

A song that is bad is recorded, and the batch goes on. What storage, network or a worker did wrong may pass:
the song waits, longer after each attempt. If nothing but the same failure comes, and it is not the songs'
fault, the batch waits, and stops before it has spent the attempts of a whole catalogue on it. It also stops
where failures of one reason that cannot pass follow each other and no file is bad: no right to write, a disk
that is not there.
"""

import errno
import os
from dataclasses import dataclass

from stemwise.batch.song import Outcome
from stemwise.errors import AudioError, ModelError

GENERAL = 3  # songs that fail for one reason without another being done
NO_SPACE = os.strerror(errno.ENOSPC)
_OF_SYSTEM = {os.strerror(number) for number in errno.errorcode}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How patient a batch is.

    Attributes:
        attempts: at most, of a song whose failure may pass.
        backoff_s: before the second attempt; four times as long before each further one.
        backoff_most_s: but never longer.
        streak: so many failures in a row, of several songs for one reason that is not theirs, stop the batch.
        alike: so many in a row for one reason that cannot pass stop it too, unless it is bad files.
        limit_s: how long a song may be separated; None for as long as it needs.
    """

    attempts: int = 4
    backoff_s: float = 5.0
    backoff_most_s: float = 300.0
    streak: int = 8
    alike: int = 20
    limit_s: float | None = None

    def pause_s(self, n: int) -> float:
        """How long to wait after the n-th failure, n >= 1."""
        return float(min(self.backoff_most_s, self.backoff_s * 4 ** (n - 1)))


class Streak:
    """Failures in a row, for one reason that is not the songs' fault.

    Attributes:
        ids: of the songs, each once.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._reason = ""
        self._n = 0
        self._alike, self._n_alike = "", 0
        self.ids: dict[str, None] = {}

    def push(self, outcome: Outcome, source: str, *, is_own: bool = False) -> str | None:
        """Take note of an outcome; why the batch must stop, or None.

        Args:
            outcome: of a song.
            source: where the song lies, which is no part of a reason.
            is_own: whether a failure that may pass is held against the song.
        """
        if outcome.error is None:
            self._n, self._n_alike, self.ids = 0, 0, {}
            return None
        reason = outcome.error.replace(source, "").rpartition(": ")[2]
        if is_own or not (outcome.passing or outcome.exit_code == ModelError.exit_code):
            return self._push_own(outcome, reason)
        if reason != self._reason:
            self._reason, self._n, self.ids = reason, 0, {}
        self._n += 1
        self.ids[outcome.id] = None
        if NO_SPACE in outcome.error:
            return f"there is no space left: {outcome.error}"
        if self.is_general and self._n >= self._policy.streak:
            return f"{len(self.ids)} songs in a row failed for the same reason: {outcome.error}"
        return None

    def _push_own(self, outcome: Outcome, reason: str) -> str | None:
        if outcome.exit_code == AudioError.exit_code and reason not in _OF_SYSTEM:
            return None  # a bad file, which says nothing of the others
        self._n_alike = self._n_alike + 1 if reason == self._alike else 1
        self._alike = reason
        if self._n_alike < self._policy.alike:
            return None
        self.ids = {}
        return (
            f"{self._n_alike} failures in a row for the same reason: {outcome.error} (the same command"
            " goes on without these songs; to try them again: stemwise batch retry OUTPUT --failed)"
        )

    @property
    def is_general(self) -> bool:
        """Whether it no longer looks like the songs' fault: then no song's last attempt is spent on it."""
        return len(self.ids) >= GENERAL

    def pause_s(self) -> float:
        """How long to wait before another song is tried."""
        return self._policy.pause_s(self._n - GENERAL + 1) if self.is_general else 0.0
