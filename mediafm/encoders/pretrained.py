"""Published weights: from a hub or from a folder, named exactly, read without running any code of theirs.

What stands in a spec is the content, not the place: a hub's commit, or the hash of a folder's files. A folder may move,
and a branch that moved on is another revision.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import file_digest
from pathlib import Path
from typing import Any

from mediafm.errors import ConfigError, EncoderError, TransientError
from mediafm.lineage.fingerprint import fingerprint
from mediafm.types import Json

SMALL_FILES = ("*.json", "*.txt", "*.model", "*/config.json")
"""Configuration, tokenizer and processor of a checkpoint."""
SAFE_WEIGHTS = ("model*.safetensors",)
OLD_WEIGHTS = ("pytorch_model*.bin",)
"""Read by `weights_only` alone: a pickle that may hold nothing but tensors."""
LOCAL = "local"
"""The source of weights that lie in a folder of the user's."""

DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """Weights that an encoder is made of, not yet loaded.

    weights: as the profile names them: a hub id ("facebook/wav2vec2-base") or a folder.
    source: the hub id, or "local"; it is part of the spec.
    revision: the hub's commit, or "sha256:" and the hash over a folder's files; it is part of the spec.
    small_folder: where `config.json` and its like lie.
    where: who asks, for messages.
    """

    weights: str
    source: str
    revision: str
    small_folder: Path
    where: str

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """`config.json`.

        Raises:
            ConfigError: it is missing, broken, or asks for code of its own.
        """
        found = self.json_file("config.json")
        if found is None:
            raise ConfigError(
                "no config.json",
                rule="weights are a folder or hub repository as `save_pretrained` writes it",
                where=f"{self.where}, {self.weights}",
                remedy="Name the folder that holds config.json and model.safetensors.",
            )
        if "auto_map" in found:
            raise ConfigError(
                f"a model that brings its own code ({found['auto_map']})",
                rule="nothing that is loaded may run code",
                where=f"{self.where}, {self.weights}",
                remedy="Choose a model that transformers knows, or register an encoder of your own.",
            )
        return found

    def json_file(self, name: str) -> Mapping[str, Any] | None:
        """A small file of the checkpoint; None if it has none of that name."""
        file = self.small_folder / name
        if not file.is_file():
            return None
        try:
            found: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{name} cannot be read ({error})",
                rule="it is a JSON file",
                where=f"{self.where}, {self.weights}",
                remedy="Fetch the weights again.",
            ) from error
        return found

    def folder(self) -> Path:
        """The folder with all files that loading needs; a hub's are fetched now, unless they lie in its cache.

        Raises:
            TransientError: the hub cannot be reached.
            ConfigError: there are no weights.
        """
        if self.source == LOCAL:
            return self.small_folder
        folder = _from_hub(self.source, self.revision, (*SMALL_FILES, *SAFE_WEIGHTS), self.where)
        if not _any_file(folder, SAFE_WEIGHTS):
            folder = _from_hub(self.source, self.revision, (*SMALL_FILES, *OLD_WEIGHTS), self.where)
        return folder

    def as_json(self) -> dict[str, Json]:
        """What a spec's settings say of the weights, beside its revision."""
        return {"weights": self.source}


def describe(weights: str, revision: str | None, where: str) -> Pretrained:
    """Which weights a profile names, without loading them.

    Args:
        weights: a hub id, or a folder ("~" is understood; a name with a folder of that name here is the folder).
        revision: of a hub id: a commit, tag or branch; the spec gets the commit. None is the hub's main branch.
            A folder has none: its content is its revision.
        where: who asks.

    Raises:
        ConfigError: no such folder or repository, or a revision for a folder.
        TransientError: the hub cannot be reached, and its cache does not have them.
    """
    folder = Path(weights).expanduser()
    if folder.is_dir():
        if revision is not None:
            raise ConfigError(
                f"revision {revision!r} of the folder {weights}",
                rule="a folder's revision is the hash of its files",
                where=where,
                remedy="Leave `revision` out.",
            )
        return Pretrained(
            weights=weights, source=LOCAL, revision=_folder_revision(folder, where), small_folder=folder, where=where
        )
    if weights.count("/") > 1 or weights.startswith(("/", ".", "~")):
        raise ConfigError(
            f"no folder {weights}", rule="weights are a folder or a hub id", where=where, remedy="Check the path."
        )
    with _without_bars():
        folder = _from_hub(weights, revision or "main", SMALL_FILES, where)
    return Pretrained(weights=weights, source=weights, revision=folder.name, small_folder=folder, where=where)


def load_network(
    network: Any, pretrained: Pretrained, device: str, dtype: str, may_be_absent: Sequence[str] = (), **options: Any
) -> Any:
    """A network of transformers in evaluation mode, with its published weights.

    Args:
        network: a class with `from_pretrained`.
        dtype: one of `DTYPES`.
        may_be_absent: beginnings of parameter names that the vectors do not depend on.
        options: further arguments of `from_pretrained`.

    Raises:
        EncoderError: weights that the network needs are not among those published: it would be partly random.
    """
    import torch

    folder = pretrained.folder()
    with _without_reports():
        found, info = network.from_pretrained(
            folder,
            local_files_only=True,
            weights_only=True,
            dtype=getattr(torch, dtype),
            output_loading_info=True,
            **options,
        )
    absent = [name for name in info["missing_keys"] if not name.startswith(tuple(may_be_absent))]
    if absent or info.get("mismatched_keys"):
        raise EncoderError(
            f"{len(absent)} weights absent ({', '.join(sorted(absent)[:3])}), "
            f"{len(info.get('mismatched_keys', ()))} of another shape",
            rule=f"the published weights fill a {network.__name__}",
            where=f"{pretrained.where}, {pretrained.weights}",
            remedy="Name weights of this architecture.",
        )
    return found.eval().requires_grad_(False).to(device)


@contextmanager
def _without_reports() -> Iterator[None]:
    """Silences transformers' table of weights that are not used: of half a model there are always some."""
    import transformers

    logging: Any = transformers.utils.logging
    verbosity, has_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if has_bars:
            logging.enable_progress_bar()


def _folder_revision(folder: Path, where: str) -> str:
    """The hash over the names and contents of all files that loading may read."""
    weights = SAFE_WEIGHTS if _any_file(folder, SAFE_WEIGHTS) else OLD_WEIGHTS
    files = sorted({file for pattern in (*SMALL_FILES, *weights) for file in folder.glob(pattern) if file.is_file()})
    if not _any_file(folder, weights):
        raise ConfigError(
            f"no model.safetensors in {folder}",
            rule="a folder of weights is as `save_pretrained` writes it",
            where=where,
            remedy="Check the path.",
        )
    stats = ((file, file.stat()) for file in files)
    hashes = {
        str(file.relative_to(folder)): _file_sha256(str(file), stat.st_size, stat.st_mtime_ns) for file, stat in stats
    }
    return f"sha256:{fingerprint(hashes)}"


@lru_cache(maxsize=256)
def _file_sha256(path: str, size_bytes: int, modified_ns: int) -> str:
    """Read once per process for each state of a file: size and time stand for it."""
    with open(path, "rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _any_file(folder: Path, patterns: Sequence[str]) -> bool:
    return any(file.is_file() for pattern in patterns for file in folder.glob(pattern))


def _from_hub(repository: str, revision: str, patterns: Sequence[str], where: str) -> Path:
    """The snapshot's folder, named by its commit, with all files of these patterns; a commit that lies in the hub's
    cache is not asked for again. A download that was cut short is not taken for a whole one."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=list(patterns)))
    except LocalEntryNotFoundError as error:
        raise _unreachable(repository, error, where) from error
    except Exception as error:
        raise _hub_error(repository, revision, error, where) from error


@contextmanager
def _without_bars() -> Iterator[None]:
    """Small files come without progress bars; weights keep theirs."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    were_disabled = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not were_disabled:
            enable_progress_bars()


def _unreachable(repository: str, error: Exception, where: str) -> TransientError:
    return TransientError(
        f"{repository} is not in the hub's cache and the hub cannot be reached ({type(error).__name__})",
        rule="weights are fetched once, from the hub",
        where=where,
        remedy="Go online, or name a folder that holds them.",
    )


def _hub_error(repository: str, revision: str, error: Exception, where: str) -> ConfigError | TransientError:
    """A repository that is not there is the profile's mistake; anything else may pass."""
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    if isinstance(error, HFValidationError | RepositoryNotFoundError | RevisionNotFoundError):
        return ConfigError(
            f"{repository} at {revision}: {type(error).__name__}",
            rule="weights are a folder or a hub id with a revision that it has",
            where=where,
            remedy="Check the name; a gated model needs HF_TOKEN in the environment.",
        )
    return _unreachable(repository, error, where)
