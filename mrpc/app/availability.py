"""Whether a checkpoint can be had now, for the form, and for a start that is better refused at once.

However many pages and scripts want to know, the Hub is asked at most once in :data:`AGE_S` about each
repository, and answers or counts as silent within its time limit. Files of this machine are looked at anew; a
folder that was named on the command line is tried on two pairs, once for the same files.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mrpc.core.model.pretrained import (
    Availability,
    Pretrained,
    PretrainedSize,
    availability_of,
    list_pretrained,
    local_pretrained,
    pretrained_size,
    resolve_pretrained,
)
from mrpc.errors import ConfigError, UnavailableError
from mrpc.recent import Recent

AGE_S = 10.0
"""An answer of the Hub counts for so long, in seconds."""


class CheckpointShelf:
    """The checkpoints that may be chosen here. May be used from many threads."""

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        """Take the allow-list and the folders that were named on the command line."""
        self._specs = list_pretrained(folders)
        self._asked: Recent[Availability] = Recent(len(self._specs), AGE_S)
        self._looked_at: Recent[Availability] = Recent(len(self._specs), 0.0)  # anew each time, one by one

    def spec(self, name: str) -> Pretrained:
        """Return what is known of a checkpoint.

        Raises:
            ConfigError: when it may not be chosen.
        """
        if name not in self._specs:
            raise ConfigError(f"checkpoint is {name[:60]!r}; allowed: {', '.join(self._specs)}.")
        return self._specs[name]

    def size(self, name: str) -> PretrainedSize | None:
        """Return how large a checkpoint is, or None where that cannot be known before it is loaded."""
        return pretrained_size(self.spec(name))

    def encoder_notes(self, name: str) -> list[str]:
        """Return what is changed in an encoder of the user's own to train it, a sentence each."""
        if self.spec(name).folder is None:
            return []
        encoder = self.availability(name).encoder
        return [] if encoder is None else [encoder.sentence, *encoder.notes]

    def availability(self, name: str) -> Availability:
        """Tell whether a checkpoint can be had now; waits for the Hub as long as its time limit at most."""
        spec = self.spec(name)
        answers = self._looked_at if spec.repo_id is None else self._asked
        return answers.once(name, lambda: availability_of(spec) if spec.folder is None else _try_folder(spec))

    def availabilities(self) -> list[Availability]:
        """Tell it of every checkpoint, in the time that the slowest answer takes."""
        with ThreadPoolExecutor(len(self._specs)) as pool:
            return list(pool.map(self.availability, self._specs))

    def require(self, name: str, folder: Path | None = None) -> None:
        """Refuse a checkpoint that a training could not load now.

        Args:
            name: what the config calls it.
            folder: where a run has it from, if from a folder; that one counts, whatever may be chosen here.

        Raises:
            ConfigError: when it may not be chosen.
            UnavailableError: when its files are not to be had; says why.
        """
        answer = self.availability(name) if folder is None else _try_folder(local_pretrained(folder))
        if not answer.available:
            raise UnavailableError(f"The checkpoint {answer.spec.label} is not available: {answer.reason}")


def _try_folder(spec: Pretrained) -> Availability:
    """Tell whether the encoder in a folder can be trained: how much of it is loaded, and what is changed."""
    from mrpc.core.model.classifier import try_checkpoint  # imports torch

    try:
        report = try_checkpoint(resolve_pretrained(spec.name, spec.folder))
    except UnavailableError as error:
        return Availability(spec, False, str(error))
    reason = " ".join(["On this machine.", report.sentence, *report.notes])
    return Availability(spec, True, reason, report)
