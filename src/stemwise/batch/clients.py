"""The clients of object storage: found by a URL's scheme, and what they raise told in one line."""

import asyncio
import errno
import inspect
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from stemwise.errors import ConfigError, StemwiseError, StorageError

NEEDS = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "http": "aiohttp", "https": "aiohttp"}
EXTRA = {"s3fs": "s3", "gcsfs": "gs", "aiohttp": "http"}
READ_ONLY = ("http", "https")
HOW_TO_GET_IN = (
    "for s3://, check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws/credentials;"
    " for gs://, GOOGLE_APPLICATION_CREDENTIALS, or gcloud auth application-default login"
)
# What a client raises that is no OSError: module → classes. Looked up among what is imported when it happens.
FOREIGN = {
    "botocore.exceptions": ("BotoCoreError", "ClientError"),
    "aiohttp": ("ClientError",),
    "gcsfs.retry": ("HttpError",),
    "google.auth.exceptions": ("GoogleAuthError",),
    "fsspec.exceptions": ("FSTimeoutError",),  # an OSError from Python 3.11 on
    "builtins": ("ValueError",),  # gcsfs, of a request that is refused as bad
}
NO_KEY = (
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "DefaultCredentialsError",
    "RefreshError",
)
# Of http: a song may take as long as it needs, but not stand still.
HTTP_TIMEOUT_S: dict[str, Any] = {"total": None, "sock_connect": 30.0, "sock_read": 60.0}
REFUSED_STATUS = (401, 403)
# Whatever is answered to these will be answered again.
FINAL_KINDS = ("ParamValidationError", "InvalidEndpointError", "InvalidURL", "ProfileNotFound", "ValueError")
FINAL_NUMBERS = (
    errno.EINVAL,
    errno.ENOSYS,
    errno.EPERM,
    errno.EMSGSIZE,
    errno.ENAMETOOLONG,
    errno.ENOSPC,
    errno.EROFS,
)
PASSING_STATUS = (408, 425, 429)  # of http, besides 500 and more


def open_client(url: str, *, to_write: bool = False) -> tuple[Any, str]:
    """The client for a URL, and what it calls the place.

    Raises:
        ConfigError: if there is none for this scheme, or its package is not installed, or it needs to be told
            more than a URL, or it can only read.
    """
    import fsspec

    scheme = url.partition("://")[0]
    package = NEEDS.get(scheme)
    if package and find_spec(package) is None:
        raise ConfigError(
            f"{url}: {scheme}:// needs a package that is not installed:"
            f" pip install 'stemwise[{EXTRA[package]}]'"
        )
    if to_write and scheme in READ_ONLY:
        raise ConfigError(f"{url}: {scheme}:// can only be read; stems go to a folder or to s3://")
    if package == "gcsfs" and not logging.getLogger(package).handlers:
        logging.getLogger(package).addHandler(logging.NullHandler())  # it logs, with traces, what it raises
    options: dict[str, Any] = {"use_listings_cache": False}
    try:
        if package == "aiohttp":
            options["client_kwargs"] = {"timeout": _http_timeout()}
        # Some need more than a URL; a client that is made without would complain again when it goes away.
        inspect.signature(fsspec.get_filesystem_class(scheme).__init__).bind(None, **options)
        client = fsspec.filesystem(scheme, **options)
    except (ValueError, ImportError, TypeError) as error:
        raise ConfigError(f"{url}: {scheme}:// is no storage that is known here ({error})") from error
    return client, client._strip_protocol(url)


def _http_timeout() -> Any:
    import aiohttp

    return aiohttp.ClientTimeout(**HTTP_TIMEOUT_S)


@contextmanager
def errors_told(url: str) -> Iterator[None]:
    """Turn what a client raises into a `StorageError`, which says whether to try again."""
    try:
        yield
    except StemwiseError:
        raise
    except client_errors() as caught:
        error = _behind(caught)
        reason = " ".join(str(error).split()) or type(error).__name__
        if type(error).__name__ in NO_KEY:
            raise StorageError(f"{url}: no credentials were found ({reason}): {HOW_TO_GET_IN}") from error
        if isinstance(error, PermissionError) or _status(error) in REFUSED_STATUS:
            raise StorageError(f"{url}: access is refused ({reason}): {HOW_TO_GET_IN}") from error
        if isinstance(error, FileNotFoundError):
            raise StorageError(f"{url} does not exist") from error
        raise StorageError(f"{url}: the storage failed: {reason}", passing=_can_pass(error)) from error


def client_errors() -> tuple[type[Exception], ...]:
    """What the clients at hand raise."""
    known = [(sys.modules[name], kinds) for name, kinds in FOREIGN.items() if name in sys.modules]
    return OSError, *(getattr(module, kind) for module, kinds in known for kind in kinds)


def _behind(error: BaseException) -> BaseException:
    """The error itself: fsspec says of all that goes wrong with http that the file was not found."""
    cause = error.__cause__
    is_http = isinstance(cause, TimeoutError | asyncio.TimeoutError) or type(cause).__module__.startswith(
        "aiohttp."
    )
    is_hidden = isinstance(error, FileNotFoundError) and is_http and getattr(cause, "status", None) != 404
    return cause if is_hidden and cause is not None else error


def _status(error: BaseException) -> int | None:
    """Of http, if the error tells: as aiohttp's do, and gcsfs's in one of two ways."""
    for name in ("status", "code"):
        value = getattr(error, name, None)
        if isinstance(value, int | str) and str(value).isdecimal():
            return int(value)
    return 403 if type(error) is OSError and str(error).startswith("Forbidden: ") else None


def _can_pass(error: BaseException) -> bool:
    status = _status(error)
    if status is not None:
        return status >= 500 or status in PASSING_STATUS
    is_final = type(error).__name__ in FINAL_KINDS or getattr(error, "errno", None) in FINAL_NUMBERS
    return not is_final
