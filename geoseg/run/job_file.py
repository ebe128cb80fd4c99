"""``.batch/job.json``: what a batch was asked for, so that it can be asked again.

The file lies where many may read it, so it holds no secret; and where others may have written
it, so nothing in it is believed that is not of the right name and type.
"""

from __future__ import annotations

import hashlib
import json
import re
import types
import typing
from dataclasses import MISSING, asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import SplitResult, urlsplit

from geoseg.errors import OptionError
from geoseg.options import BatchOptions, RunOptions
from geoseg.redact import shown_address
from geoseg.version import __version__

if TYPE_CHECKING:
    from geoseg.run.place import Root

__all__ = ["changed_options", "job_values", "read_job", "selection_digest", "write_job"]

_FILE: Final = ".batch/job.json"
_VERSION: Final = 1
_HINT: Final = "Repeat the 'geoseg batch' command that made it, or choose another --out."
_WITHHELD: Final = "***"
_DECIDES_NO_RESULT: Final = frozenset(
    {"scene", "out", "block_px", "batch_size", "workers", "overwrite"}
)
"""Fields of RunOptions that change neither pixels nor polygons nor which files there are."""
_SECRET_NAME: Final = re.compile(
    r"sig|token|secret|pass|pwd|cred|key|auth|policy|session", re.IGNORECASE
)
_HOSTS: Final = re.compile(r"(\[[0-9a-fA-F:.%]*\]|[^:@\[\]]*)(:[0-9]*)?(,[^:@]*(:[0-9]*)?)*")


def write_job(root: Root, options: BatchOptions) -> None:
    """Keep what a batch was asked for.

    Passwords, tokens and signatures in addresses are left out; a database's password is then
    found by libpq, a signed address must be given anew.

    Raises:
        OptionError: A password cannot be told from the rest of a database's address.
        OutputError: The root cannot be written.
    """
    root.write_text(_FILE, json.dumps(job_values(options), indent=1) + "\n")


def read_job(root: Root, *, complete: bool = False) -> BatchOptions | None:
    """Return what a batch was asked for, or None where there is no such file.

    Args:
        root: Place of the batch.
        complete: Refuse a job whose addresses had secrets, which are not kept: it cannot be
            done again from this file alone.

    Raises:
        OptionError: The file is damaged, from another version, or says what cannot be.
    """
    text = root.read_text(_FILE)
    if text is None:
        return None
    place = f"{_FILE} of {root.address}"
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        msg = f"{place} is damaged: not JSON"
        raise OptionError(msg, hint=_HINT) from error
    if not isinstance(data, dict) or data.get("version") != _VERSION:
        found = data.get("version") if isinstance(data, dict) else None
        msg = f"{place} has version {found!r}, expected {_VERSION}"
        raise OptionError(msg, hint="Use the version of geoseg that made it.")
    withheld = data.pop("withheld", [])
    if complete and withheld:
        msg = f"{place} does not hold all of {withheld}: secrets in addresses are not kept"
        raise OptionError(msg, hint="Repeat the 'geoseg batch' command with the addresses.")
    options: BatchOptions = _value(
        BatchOptions, {k: v for k, v in data.items() if k not in {"version", "geoseg"}}, place
    )
    return options


def job_values(options: BatchOptions) -> dict[str, Any]:
    """Return the JSON values of a job, as the file holds them: without secrets.

    Raises:
        OptionError: A password cannot be told from the rest of a database's address.
    """
    kept = _kept(options)
    return {
        "version": _VERSION,
        "geoseg": __version__,
        "withheld": _withheld(options, kept),
        **_json(asdict(kept)),
    }


def changed_options(old: BatchOptions, new: BatchOptions) -> list[str]:
    """Return which options that decide results differ, by the names of their fields.

    Results of one root must come from one set of them. Where and how fast blocks are computed,
    which scenes are taken, retries and limits may change from session to session.
    """
    before, after = _kept(old), _kept(new)
    names = [f.name for f in fields(RunOptions) if f.name not in _DECIDES_NO_RESULT]
    found = [n for n in names if getattr(before.scene, n) != getattr(after.scene, n)]
    return [*found, *(["asset"] if before.asset != after.asset else [])]


def selection_digest(options: BatchOptions) -> str:
    """Return a short digest of what scenes are asked for, for ``--since last``.

    Signatures of addresses do not count: they are new every night.
    """
    kept = _kept(options)
    text = json.dumps([sorted(kept.sources), kept.asset])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _kept(options: BatchOptions) -> BatchOptions:
    """Return the options without secrets, and without what belongs to single scenes."""
    scene = options.scene
    return replace(
        options,
        sources=tuple(_kept_address(s) for s in options.sources),
        out=_kept_address(options.out),
        allow_roots=tuple(_kept_address(s) for s in options.allow_roots),
        cluster=replace(options.cluster, scheduler=_kept_address(options.cluster.scheduler)),
        scene=replace(
            scene,
            scene="",
            out=None,
            model=_kept_address(scene.model),
            aoi=None if scene.aoi is None else _kept_address(scene.aoi),
            postgis=None if scene.postgis is None else _without_password(scene.postgis),
        ),
    )


def _withheld(options: BatchOptions, kept: BatchOptions) -> list[str]:
    pairs = {
        "sources": (options.sources, kept.sources),
        "out": (options.out, kept.out),
        "allow_roots": (options.allow_roots, kept.allow_roots),
        "scheduler": (options.cluster.scheduler, kept.cluster.scheduler),
        "model": (options.scene.model, kept.scene.model),
        "aoi": (options.scene.aoi, kept.scene.aoi),
    }
    return [name for name, (before, after) in pairs.items() if before != after]


def _kept_address(address: str) -> str:
    """Return an address with its secrets, and nothing else, replaced by ``***``.

    ``shown_address`` cuts off the whole query, without which a STAC search would be another.
    """
    if address.startswith("/vsi") or "://" not in address:
        shown = shown_address(address)
        return address if shown == address else f"{shown}?{_WITHHELD}"
    try:
        parts = urlsplit(address)
    except ValueError:
        return _WITHHELD
    user, at, hosts = parts.netloc.rpartition("@")
    if not _HOSTS.fullmatch(hosts):  # a password with a slash in it ends the host's part early
        return f"{parts.scheme}://{_WITHHELD}"
    query = "&".join(_kept_parameter(part) for part in parts.query.split("&"))
    netloc = f"{_WITHHELD}@{hosts}" if at and user else hosts
    return _joined(parts._replace(netloc=netloc, query=query))


def _kept_parameter(part: str) -> str:
    name, equals, _ = part.partition("=")
    if part and (not equals or _SECRET_NAME.search(name)):
        return f"{name}={_WITHHELD}" if equals else _WITHHELD
    return part


def _without_password(url: str) -> str:
    """Return the address of a database with its user and without passwords.

    Raises:
        OptionError: It cannot be told where the password ends.
    """
    try:
        parts = urlsplit(url)
        user, at, hosts = parts.netloc.rpartition("@")
        rest = parts.path + parts.query + parts.fragment
        is_clear = bool(_HOSTS.fullmatch(hosts)) and "@" not in rest
    except ValueError:
        is_clear = False
    if not is_clear:
        msg = f"--postgis {shown_address(url).split('://')[0]}://... holds what is no host"
        raise OptionError(
            msg, hint="Leave the password to PGPASSWORD or ~/.pgpass, or percent-encode it."
        )
    query = "&".join(p for p in parts.query.split("&") if not _SECRET_NAME.search(p.split("=")[0]))
    netloc = f"{user.partition(':')[0]}{at}{hosts}"
    return _joined(parts._replace(netloc=netloc, query=query))


def _joined(parts: SplitResult) -> str:
    """Return the address; urlunsplit would drop the slashes of ``postgresql:///maps``."""
    query = f"?{parts.query}" if parts.query else ""
    fragment = f"#{parts.fragment}" if parts.fragment else ""
    return f"{parts.scheme}://{parts.netloc}{parts.path}{query}{fragment}"


def _json(value: Any) -> Any:  # noqa: ANN401 - any field of the options
    if isinstance(value, dict):
        return {name: _json(part) for name, part in value.items()}
    if isinstance(value, tuple):
        return [_json(part) for part in value]
    return str(value) if isinstance(value, Path) else value


def _value(kind: Any, data: Any, place: str, name: str = "the job") -> Any:  # noqa: ANN401
    """Return JSON as a value of the type of a field, or refuse it in one line."""
    if is_dataclass(kind) and isinstance(data, dict):
        return _options(typing.cast("type[Any]", kind), data, place)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in {types.UnionType, typing.Union}:
        if data is None and type(None) in arguments:
            return None
        (kind,) = [k for k in arguments if k is not type(None)]
        return _value(kind, data, place, name)
    if origin is Literal and data in arguments:
        return data
    if origin is tuple and isinstance(data, list):
        kinds = arguments[:1] * len(data) if arguments[-1] is Ellipsis else arguments
        if len(kinds) == len(data):
            return tuple(_value(k, v, place, name) for k, v in zip(kinds, data, strict=True))
    return _plain(kind, data, f"{place}: {name} is {_short(data)}, expected {_type_name(kind)}")


def _plain(kind: Any, data: Any, message: str) -> Any:  # noqa: ANN401
    if kind is Path and isinstance(data, str):
        return Path(data)
    if kind is float and isinstance(data, int | float) and not isinstance(data, bool):
        return float(data)
    # type(), not isinstance(): True is an int.
    if kind in {str, int, bool} and type(data) is kind:
        return data
    raise OptionError(message, hint=_HINT)


def _options(kind: type[Any], data: dict[str, Any], place: str) -> Any:  # noqa: ANN401
    kinds = typing.get_type_hints(kind)
    unknown = sorted(set(data) - set(kinds))
    if unknown:
        msg = f"{place} has an unknown field {_short(unknown[0])}"
        raise OptionError(msg, hint=_HINT)
    missing = [f.name for f in fields(kind) if f.default is MISSING and f.name not in data]
    if missing:
        msg = f"{place} lacks the field {missing[0]!r}"
        raise OptionError(msg, hint=_HINT)
    return kind(**{name: _value(kinds[name], v, place, name) for name, v in data.items()})


def _type_name(kind: Any) -> str:  # noqa: ANN401
    if typing.get_origin(kind) is None:
        return {str: "a text", float: "a number", int: "a whole number", Path: "a path",
                bool: "true or false"}.get(kind, "an object")  # fmt: skip
    return str(kind).removeprefix("typing.")


def _short(value: object) -> str:
    """Return a value for a message: on one line, and not as long as its file."""
    return json.dumps(value)[:60]
