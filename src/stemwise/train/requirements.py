"""What the values of a configuration must be: checks that name value and requirement, and predicates."""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, TypeGuard, get_args

from stemwise.errors import ConfigError

_MISSING = object()


def check(config: object, names: Sequence[str], is_right: Callable[[Any], bool], requirement: str) -> None:
    """Raise a ConfigError for the first field of these names that is not right."""
    for name in names:
        value = getattr(config, name)
        if not is_right(value):
            raise ConfigError(f"{name} is {value!r}: it must be {requirement}")


def is_choice(choices: Any) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in get_args(choices)


def listed(choices: Any) -> str:
    return f"one of {', '.join(get_args(choices))}"


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def is_positive(value: Any) -> bool:
    return is_number(value) and value > 0


def is_not_negative(value: Any) -> bool:
    return is_number(value) and value >= 0


def is_count(value: Any) -> bool:
    return is_whole(value) and value > 0


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_names(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(v, str) and v for v in value)


def is_name_table(value: Any) -> TypeGuard[dict[str, str]]:
    return isinstance(value, dict) and all(isinstance(v, str) for v in (*value, *value.values()))


def is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def required(
    values: Mapping[str, Any],
    key: str,
    is_right: Callable[[Any], bool],
    requirement: str,
    default: Any = _MISSING,
) -> Any:
    """The value of a key.

    Raises:
        ConfigError: if it is missing and there is no default, or it is not right.
    """
    value = values.get(key, default)
    if value is _MISSING:
        raise ConfigError(f"{key} is missing from the configuration: it must be {requirement}")
    if not is_right(value):
        raise ConfigError(f"{key} is {value!r}: it must be {requirement}")
    return value
