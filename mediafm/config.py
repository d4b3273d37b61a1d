"""The one configuration: `mediafm.toml`, frozen, read alike by the CLI, the UI and the sensors.

Found by `--config`, else `mediafm.toml` in the working directory, else defaults; flags override it.
Each section is the settings class of one room; every number that a user may turn is written here and nowhere else.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mediafm.automation import AutomationSettings
from mediafm.errors import ConfigError
from mediafm.s3.place import root_place
from mediafm.s3.settings import S3Settings
from mediafm.servers import ServerSettings
from mediafm.types import Json, Modality

CONFIG_FILE_NAME = "mediafm.toml"

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A frozen part of the configuration; unknown keys are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


SectionType = TypeVar("SectionType", bound=Section)


class MediaLimits(Section):
    """Bounds on what a title may ask of this machine; beyond them it is quarantined."""

    max_file_bytes: Count = 2 * 1024**4
    max_duration_seconds: Positive = 12 * 3600.0
    max_width_px: Count = 8192
    max_height_px: Count = 8192
    max_streams: Count = 64
    max_cues: Count = 100_000
    max_sidecar_bytes: Count = 32 * 1024**2
    max_shots: Count = 200_000
    child_memory_bytes: Count = 6 * 1024**3
    """Address space of the decoding child beyond what it holds at its start."""
    child_seconds_base: Positive = 60.0
    child_seconds_per_media_second: Positive = 4.0
    """The child's deadline is base + this * probed duration."""


class FrameSettings(Section):
    """Which frames of a shot are kept, and how."""

    frames_per_shot: Count = 8
    short_side_px: Count = 384
    jpeg_quality: Annotated[int, Field(ge=1, le=100)] = 85


class AudioSettings(Section):
    """Sound as the audio encoders get it."""

    sample_rate_hz: Count = 16_000
    silence_dbfs: float = -60.0
    """A shot whose RMS level is below this has no sound."""
    max_shot_seconds: Positive = 600.0
    """Of a longer shot only the middle is read: bounds the memory that one shot's samples take."""


class TimedTextSettings(Section):
    """Which timed text is read, and how."""

    languages: tuple[str, ...] = ("en",)
    """In order of preference; the first available track wins, else the first track without a language, else any."""
    keep_hearing_impaired: bool = True
    """Keep cues such as [door slams]."""


class MetadataSettings(Section):
    """Which metadata fields [GLOBAL] reads. Fields that label sets derive from stay out."""

    fields: tuple[str, ...] = ("title", "synopsis", "tags", "kind", "series")


class FusionSettings(Section):
    """Weight of each modality's block before the whole is unit normed; equal ones are the published rule."""

    video_weight: Positive = 1.0
    audio_weight: Positive = 1.0
    text_weight: Positive = 1.0


class TrainingSettings(Section):
    """What a training run may be told from the configuration; the rest is in the preset."""

    preset: str = "auto"
    """A preset of `mediafm.model.presets`, or "auto": by the number of shots to train on."""
    objective: str = "auto"
    """An objective of `mediafm.objective.config`, or "auto" for the default."""
    objective_settings: dict[str, Any] = {}
    """Single fields of the objective that differ, nested ones as nested tables."""
    seed: int = 0
    max_steps: Count | None = None
    max_seconds: Positive | None = None
    """Wall-clock bound on the training loop; None leaves it to early stopping."""
    save_every_steps: Count = 100
    """How often the state is written that a stopped training goes on from; it moves nothing."""
    compile: bool = False
    """`torch.compile` of the model's blocks; where it fails the run goes on without it and says so."""
    corpus_device_share: Share = 0.5
    """The corpus lives on a GPU where it takes at most this share of the memory free there; it moves nothing."""
    processes: Count = 1
    """Processes of a host that train together, on a GPU each or on the CPU; moves nothing but rounding."""
    torchrun: tuple[str, ...] = ()
    """Where several hosts train: this one's options of torchrun, in which it is node 0, e.g. ["--nnodes", "2",
    "--node-rank", "0", "--master-addr", "10.0.0.1", "--master-port", "29500"]. The run says what the others start."""
    split_salt: str = "mediafm"
    """Written into the root once; a root keeps the salt it began with."""
    validation_share: Share = 0.15
    test_share: Share = 0.15


class LabelColumns(Section):
    """Under which names a team's own label file keeps what a row says; None where it is called as here."""

    title_id: str | None = None
    start_seconds: str | None = None
    end_seconds: str | None = None
    shot_index: str | None = None
    next_shot_index: str | None = None
    boundary_seconds: str | None = None
    boundary_shot_index: str | None = None
    labels: str | None = None
    label: str | None = None
    score: str | None = None
    annotator: str | None = None


class TaskSettings(Section):
    """`[probes.tasks.NAME]`: one task of labels, where what follows from its rows is not what is meant."""

    file: str | None = None
    """The name of the label file that holds it, so that one file can hold several tasks in columns of its own; else
    every label file that is called NAME."""
    columns: LabelColumns = LabelColumns()
    separator: Annotated[str, Field(min_length=1)] = "|"
    """Between several values in one CSV cell."""
    kind: Literal["multi_label", "binary", "single_label", "score", "pair"] | None = None
    """What the rows say; rows of another kind are refused. None: the first row says it."""
    measures: tuple[Literal["macro", "micro", "average_precision", "tau", "pearson"], ...] = ()
    """What is reported and gated. (): by the task's name for the five published ones, else by its kind."""
    pooling: Literal["mean", "max"] = "mean"
    """How a clip's vector is made of its shots': their mean weighted by overlap, or the greatest of each number."""


class ProbeSettings(Section):
    """Linear probes and their intervals."""

    num_folds: Annotated[int, Field(ge=2)] = 10
    """Over groups of titles; fewer where there are fewer groups."""
    num_bootstrap: Count = 1000
    min_positive_groups: Count = 2
    """A class that is given, or absent, in fewer groups is dropped and named."""
    max_classes: Count = 100
    """Of a task; those given in the most groups are kept, the others dropped and named."""
    boundary_tolerance_seconds: Positive = 1.0
    """How far from a labelled scene boundary the nearest cut between two shots may lie (our choice)."""
    common_width: Annotated[int, Field(ge=0)] = 128
    """Feature sets are measured as they are, and after PCA to one width, at most this (our choice). 0: no PCA."""
    torch_above: Annotated[int, Field(ge=0)] = 20_000_000
    """Training clips x width above which probes are fitted on the GPU, where there is one."""
    seed: int = 0
    tasks: dict[str, TaskSettings] = {}
    """By task; one without an entry is read as its rows say."""

    def task(self, name: str) -> TaskSettings:
        """What is configured for the task `name`; the defaults where nothing is."""
        return self.tasks.get(name, TaskSettings())


class GateSettings(Section):
    """By which rules a candidate replaces the champion (all our choice); see `mediafm.probes.noninferiority`."""

    margin: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """By how much a candidate may be worse on a gated task, in the task's own measure."""
    min_test_groups: Annotated[int, Field(ge=2)] = 10
    """A task with fewer labelled groups of titles in the test split decides nothing."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Of the one-sided lower bound of (candidate - champion)."""
    tasks: Literal["all"] | Annotated[tuple[str, ...], Field(min_length=1)] = "all"
    """The gated tasks by name: a candidate must not be worse on any of them."""
    exclude: tuple[str, ...] = ()
    """Tasks that are measured and shown, and decide nothing."""

    @model_validator(mode="after")
    def _no_task_is_both(self) -> Self:
        both = sorted(set(self.exclude) & set(() if self.tasks == "all" else self.tasks))
        if both:
            raise ValueError(f"{', '.join(both)} stands in `tasks` and in `exclude`: a task decides or it does not")
        return self


class OrchestrationSettings(Section):
    """How Dagster cuts the work."""

    titles_per_run: Count = 64
    max_concurrent_runs: Count = 2
    flush_every_titles: Count = 8
    gpus_per_step: Annotated[int, Field(ge=0)] = 1
    """GPUs that encoder and training steps ask Kubernetes for; other launchers ignore it."""
    gpu_memory_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The share of a GPU's memory that the process of a run may take: below 1 where runs share a GPU."""
    experiment: str = "mediafm"
    registered_model: str = "mediafm"


class EncoderChoice(Section):
    """One encoder of a profile: a name of the registry and its settings."""

    name: str
    settings: Mapping[str, Any] = Field(default_factory=dict)


class DetectorChoice(Section):
    """The shot detector of a profile."""

    name: str
    settings: Mapping[str, Any] = Field(default_factory=dict)


class SpokenCueSettings(Section):
    """How transcribed words become cues (our choice: what caption guides allow)."""

    pause_seconds: Positive = 0.6
    """A pause at least so long between two words ends a cue."""
    max_seconds: Positive = 7.0
    max_characters: Count = 84
    """Two lines of 42."""
    min_confidence: Share = 0.0
    """Words of less confidence stand in `words`, and in no cue."""


class TranscriberChoice(Section):
    """What transcribes titles that have no timed text: a name of the registry of transcribers and its settings."""

    name: str
    settings: Mapping[str, Any] = Field(default_factory=dict)
    cues: SpokenCueSettings = SpokenCueSettings()


class Profile(Section):
    """A small readable file that names the detector and an encoder per modality."""

    name: str
    pool: str | None = None
    """The Dagster pool of encoder and training steps; None for a profile that needs no GPU."""
    detector: DetectorChoice
    video: EncoderChoice
    audio: EncoderChoice
    text: EncoderChoice
    transcriber: TranscriberChoice | None = None
    """None: titles without timed text have no text."""
    loudness: Literal["title", "as_recorded"] = "title"
    """"title": one gain brings each title to -23 LUFS (EBU R 128) before its sound is encoded, so that a quiet master
    is no silence and levels within a title keep their proportions. One number of the title; no neighbour's sound."""
    fusion: FusionSettings = FusionSettings()

    def encoder(self, modality: Modality) -> EncoderChoice:
        """The encoder of `modality`."""
        return {Modality.VIDEO: self.video, Modality.AUDIO: self.audio, Modality.TEXT: self.text}[modality]


class Config(Section):
    """Everything. `Config()` is what a user gets who configures nothing."""

    catalog: str | None = None
    root: str = ".mediafm"
    state: str | None = None
    """Where Dagster's and MLflow's state lives; `<root>/state` unless set, and always on this machine."""
    cache: str | None = None
    """What may be deleted at any time; `<root>/cache` unless set, and `<state>/cache` of a root in a bucket."""
    profile: str = "lite"
    """A shipped profile's name, or the path of a profile file."""
    device: str = "auto"
    labels: tuple[str, ...] = ()
    limits: MediaLimits = MediaLimits()
    frames: FrameSettings = FrameSettings()
    audio: AudioSettings = AudioSettings()
    timed_text: TimedTextSettings = TimedTextSettings()
    metadata: MetadataSettings = MetadataSettings()
    fusion: FusionSettings | None = None
    """Overrides the profile's weights."""
    training: TrainingSettings = TrainingSettings()
    probes: ProbeSettings = ProbeSettings()
    gate: GateSettings = GateSettings()
    orchestration: OrchestrationSettings = OrchestrationSettings()
    automation: AutomationSettings = AutomationSettings()
    s3: S3Settings = S3Settings()
    servers: ServerSettings = ServerSettings()

    @property
    def has_local_root(self) -> bool:
        """Whether the root is a folder of this machine; else it is a prefix of a bucket."""
        return "://" not in self.root

    @property
    def root_path(self) -> Path:
        """The root's folder. Raises `ConfigError` of a root in a bucket, which has none."""
        if not self.has_local_root:
            raise ConfigError(f"the root {self.root}", rule="a root in a bucket is no folder of this machine")
        return Path(self.root).expanduser().absolute()

    @property
    def root_name(self) -> str:
        """The root for messages and records: an absolute path, or `s3://bucket/prefix`."""
        return str(self.root_path) if self.has_local_root else self.root.rstrip("/")

    @property
    def state_path(self) -> Path:
        """Raises `ConfigError`: the root is in a bucket, and nobody said where its state lives."""
        if self.state:
            return Path(self.state).expanduser().absolute()
        if not self.has_local_root:
            raise ConfigError(
                f"no state for the root {self.root}",
                rule="the state of a root in a bucket lies on this machine, where it was said to",
                where="state",
                remedy='Set `state = "FOLDER"` in mediafm.toml, or give --state FOLDER.',
            )
        return self.root_path / "state"

    @property
    def files_path(self) -> Path:
        """Where files of the root lie that must be files of this machine: in the root, else beside its state."""
        return self.root_path if self.has_local_root else self.state_path

    @property
    def cache_path(self) -> Path:
        """Where what may be deleted at any time lies, on this machine. Raises like `state_path`."""
        if self.cache:
            return Path(self.cache).expanduser().absolute()
        return self.root_path / "cache" if self.has_local_root else self.state_path / "cache"

    def as_json(self) -> dict[str, Json]:
        """The configuration as JSON; `Config.model_validate` reads it back exactly."""
        dumped: dict[str, Json] = self.model_dump(mode="json")
        return dumped


def load_config(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Config:
    """The configuration of `path`, else of the working directory, else the defaults; `overrides` win.

    Args:
        path: a `mediafm.toml`; relative paths inside it are relative to its folder.
        overrides: top-level fields given by flags; None values are ignored.

    Raises:
        ConfigError: the file is missing, is not TOML, or holds an unknown or impossible value.
    """
    file = path or Path(CONFIG_FILE_NAME)
    values: dict[str, Any] = {}
    if path is not None or file.is_file():
        values = _read_toml(file)
        base = file.absolute().parent
        for key in ("catalog", "root", "state", "cache"):
            if isinstance(values.get(key), str) and "://" not in values[key]:
                values[key] = str(base / Path(values[key]).expanduser())
        if str(values.get("profile", "")).endswith(".toml"):
            values["profile"] = str(base / Path(values["profile"]).expanduser())
        if isinstance(values.get("labels"), list):
            values["labels"] = [str(base / Path(str(item)).expanduser()) for item in values["labels"]]
    values.update({key: value for key, value in (overrides or {}).items() if value is not None})
    return _with_usable_root(_validated(Config, values, str(file) if values else "defaults"))


def _with_usable_root(config: Config) -> Config:
    """`config` itself. Raises `ConfigError` at once of a root that could not be used later."""
    if not config.has_local_root:
        root_place(config.root)
    for name, place in (("state", config.state), ("cache", config.cache)):
        if place and "://" in place:
            raise ConfigError(f"{name} = {place!r}", rule=f"{name} is a folder of this machine", where=name)
    _ = config.state_path
    return config


def configured(config: Config | Path | str | None) -> Config:
    """`config` itself, or what `load_config` finds: in the file of that path, else in the working directory."""
    return config if isinstance(config, Config) else load_config(Path(config) if config is not None else None)


def load_profile(name_or_path: str) -> Profile:
    """A shipped profile by name, or one from a file.

    A setting `weights` that begins with "./" or "../" is relative to the profile's own folder.

    Raises:
        ConfigError: no such profile, or its file is wrong.
    """
    shipped = resources.files("mediafm") / "profiles"
    names = sorted(item.name.removesuffix(".toml") for item in shipped.iterdir() if item.name.endswith(".toml"))
    if name_or_path in names:
        text = (shipped / f"{name_or_path}.toml").read_text()
        return _validated(Profile, tomllib.loads(text), f"profile {name_or_path}")
    file = Path(name_or_path).expanduser()
    if not file.is_file():
        raise ConfigError(
            f"profile {name_or_path!r}",
            rule=f"a profile is one of {', '.join(names)} or the path of a profile file",
            remedy="Check the name, or write the file.",
        )
    return _validated(Profile, _beside(file, _read_toml(file)), str(file))


def _beside(profile: Path, values: dict[str, Any]) -> dict[str, Any]:
    """A profile's values, with relative `weights` made absolute."""
    for section in values.values():
        settings = section.get("settings") if isinstance(section, dict) else None
        weights = settings.get("weights") if isinstance(settings, dict) else None
        if isinstance(settings, dict) and isinstance(weights, str) and weights.startswith(("./", "../")):
            settings["weights"] = str((profile.absolute().parent / weights).resolve())
    return values


def complaints_of(error: ValidationError) -> str:
    """What pydantic found, one clause a field: what was seen there, and why it will not do."""
    return "; ".join(
        f"{'.'.join(map(str, item['loc'])) or 'settings'} "
        + ("is missing" if item["type"] == "missing" else f"= {item['input']!r}: {item['msg']}")
        for item in error.errors()
    )


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except OSError as error:
        raise ConfigError(
            f"cannot be read ({error.strerror})", rule="a configuration is a readable TOML file", where=str(file)
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(error), rule="a configuration is TOML", where=str(file)) from error


def _validated(model: type[SectionType], values: Mapping[str, Any], where: str) -> SectionType:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        complaints = complaints_of(error)
        raise ConfigError(
            complaints, rule="every field must be known and within its bounds", where=where, remedy="Mend the file."
        ) from error
