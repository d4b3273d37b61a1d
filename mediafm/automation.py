"""`[automation]`: what the daemon does by itself, how often, and within which bounds. A section of `mediafm.config`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A frozen part of the configuration; unknown keys are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NewTitlesSettings(Section):
    """`[automation.new_titles]`: how the catalogues are watched."""

    interval_seconds: Count = 60
    """Between two looks; a file is taken up once two looks in a row saw it alike."""
    max_titles_per_tick: Count = 1024
    max_runs_per_tick: Count = 16
    max_runs_in_flight: Count = 32
    """While so many runs over titles are queued or under way, none is added."""
    max_attempts: Count = 3
    """Runs for one state of a title's file that never came to record it; then a person has to look."""
    max_vanished_share: Share = 0.5
    """More of the known titles gone at once (and more than ten) looks like a disk that is not mounted: none is
    marked."""


class DriftSettings(Section):
    """`[automation.retrain.drift]`: when vectors of new titles count as drifted; see `mediafm.data.drift`."""

    is_watched: bool = True
    min_groups: Annotated[int, Field(ge=5)] = 20
    """Groups of titles (series, else title) on each side below which nothing is said."""
    max_titles: Annotated[int, Field(ge=10)] = 400
    """On each side; more are sampled, always the same ones."""
    num_permutations: Annotated[int, Field(ge=99)] = 999
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.01
    """The test's level: how often one look may see drift where there is none."""
    min_mean_shift: Positive = 0.5
    """Of a modality's mean, in standard deviations of titles."""
    min_energy: Share = 0.1
    """Of the energy coefficient, 0 (alike) to 1."""


class RetrainSettings(Section):
    """`[automation.retrain]`: when the daemon trains again (all our choice)."""

    interval_seconds: Count = 300
    min_titles: Count = 20
    min_share: Share = 0.1
    """New and changed titles, as many as `min_titles` and this share of those that were trained on."""
    min_hours_between: Annotated[float, Field(ge=0)] = 6.0
    """Between two requests; also how long a retrain waits for ingest runs that are under way."""
    cron: str = "0 3 * * 0"
    """Of `weekly_retrain`."""
    timezone: str = "UTC"
    drift: DriftSettings = DriftSettings()


class ReembedSettings(Section):
    """`[automation.reembed]`: how a new champion is rolled out."""

    interval_seconds: Count = 60
    max_runs_per_tick: Count = 4
    """Chunks of `orchestration.titles_per_run` titles; the next ones follow when no more than these are left."""
    max_attempts: Count = 3
    """Runs over a title that left it without vectors; then it waits for `mediafm run`."""


class FailureSettings(Section):
    """`[automation.failures]`: what is told of a failed run beside the log."""

    interval_seconds: Count = 30
    webhook: Annotated[str, Field(pattern=r"^(https?://.+|\$[A-Z_][A-Z0-9_]*)$")] | None = None
    """Where the run's facts are posted as JSON: a URL, or "$NAME" for an environment variable that holds a secret
    one."""
    command: tuple[str, ...] = ()
    """A program and its arguments, no shell; the run's facts come on its standard input as JSON."""
    timeout_seconds: Positive = 10.0


class UpkeepSettings(Section):
    """`[automation.upkeep]`: when the ledger is merged and stored files are read again."""

    cron: str = "30 2 * * *"
    timezone: str = "UTC"
    verify_parts: Count = 7
    """Into how many parts the store is cut; each time another one is read."""


Automaton = Literal["new_titles", "retrain", "weekly_retrain", "reembed", "orphans", "failures", "upkeep"]


class AutomationSettings(Section):
    """`[automation]`: what the daemon does by itself. Whatever is not named in `on` can still be started in the UI."""

    on: Literal["all"] | tuple[Automaton, ...] = ()
    new_titles: NewTitlesSettings = NewTitlesSettings()
    retrain: RetrainSettings = RetrainSettings()
    reembed: ReembedSettings = ReembedSettings()
    failures: FailureSettings = FailureSettings()
    upkeep: UpkeepSettings = UpkeepSettings()

    def is_on(self, name: Automaton) -> bool:
        return self.on == "all" or name in self.on
