"""What a model answered for many pairs, and the file that keeps it. Imports no torch, so it opens at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from mrpc.errors import UnavailableError
from mrpc.files import open_regular, replacing

UNLABELLED = -1
"""The label of a pair that has none."""

RARE_SHARE = 0.01
"""A model that gives its rarer answer to no more than this share of the pairs answers one thing."""

LOGIT_COLUMNS = ("logit_not_equivalent", "logit_equivalent")


@dataclass(frozen=True)
class PairPredictions:
    """The answers of one model to N pairs.

    Attributes:
        idx: int64 [N], the pairs' own numbers.
        label: int64 [N], 1 for equivalent, 0 for not, -1 where it is not known.
        logits: float32 [N, 2], the model's scores for not equivalent and equivalent.
    """

    idx: npt.NDArray[np.int64]
    label: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        num = len(self.idx)
        assert self.idx.shape == self.label.shape == (num,)
        assert self.logits.shape == (num, 2)

    def __len__(self) -> int:
        return len(self.idx)

    @property
    def margin(self) -> npt.NDArray[np.float64]:
        """The logit of equivalent minus that of not equivalent, float64 [N]."""
        logits = self.logits.astype(np.float64)
        return logits[:, 1] - logits[:, 0]

    @property
    def prob_equivalent(self) -> npt.NDArray[np.float64]:
        """The probability of "equivalent", float64 [N]."""
        return np.exp(-np.logaddexp(0.0, -self.margin))

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """The likelier label, int64 [N]; 0 in a tie."""
        return (self.margin > 0).astype(np.int64)

    @property
    def only_answer(self) -> int | None:
        """The label that all pairs got, or all but one in a hundred; None where both labels were given."""
        num_equivalent = int(self.predicted.sum())
        num_rare = min(num_equivalent, len(self) - num_equivalent)
        return int(num_equivalent > num_rare) if num_rare <= RARE_SHARE * len(self) else None

    @property
    def pair_losses(self) -> npt.NDArray[np.float64]:
        """The cross-entropy of each pair in nats, float64 [N]; NaN where the label is not known."""
        signed = np.where(self.label == 1, self.margin, -self.margin)
        return np.where(self.label == UNLABELLED, np.nan, np.logaddexp(0.0, -signed))

    @property
    def loss(self) -> float:
        """Mean cross-entropy of the labelled pairs in nats; NaN without any."""
        losses = self.pair_losses[self.label != UNLABELLED]
        return float(losses.mean()) if len(losses) else float("nan")


def write_predictions(path: Path, predictions: PairPredictions, metadata: Mapping[str, str]) -> None:
    """Write predictions as parquet: idx, label and both logits, whole or not at all.

    Args:
        path: the file; its folder is made.
        predictions: what to keep.
        metadata: what tells which model answered on which data, such as ``weights_sha256``.
    """
    table = pa.table(
        {
            "idx": predictions.idx,
            "label": predictions.label,
            LOGIT_COLUMNS[0]: predictions.logits[:, 0],
            LOGIT_COLUMNS[1]: predictions.logits[:, 1],
        }
    )
    write_table(path, table, metadata)


def write_table(path: Path, table: pa.Table, metadata: Mapping[str, str]) -> None:
    """Write a table as parquet, whole or not at all."""
    table = table.replace_schema_metadata({str(key): str(value) for key, value in metadata.items()})
    with replacing(path) as file:
        pq.write_table(table, file)


def read_predictions(path: Path) -> PairPredictions:
    """Read what :func:`write_predictions` wrote.

    Raises:
        UnavailableError: when the file is missing or is not such a file.
    """
    table = read_table(path, ("idx", "label", *LOGIT_COLUMNS))
    return PairPredictions(
        idx=table["idx"].to_numpy().astype(np.int64),
        label=table["label"].to_numpy().astype(np.int64),
        logits=np.stack([table[name].to_numpy().astype(np.float32) for name in LOGIT_COLUMNS], axis=1),
    )


def read_prediction_metadata(path: Path) -> dict[str, str]:
    """Return the metadata that the predictions were written with.

    Raises:
        UnavailableError: when the file is missing or is not parquet.
    """
    try:
        with open_regular(path) as file:
            metadata = pq.read_schema(file).metadata or {}
    except (OSError, pa.ArrowInvalid) as error:
        raise UnavailableError(f"{path.name} cannot be read: {error}.") from error
    return {key.decode(): value.decode() for key, value in metadata.items() if not key.startswith(b"ARROW:")}


def kept_predictions(
    path: Path, told: Mapping[str, str], make: Callable[[], PairPredictions]
) -> PairPredictions:
    """Return the predictions of a file that was written with this metadata; else make them, and keep them.

    Args:
        path: the file.
        told: what they must have been written with.
        make: predicts.
    """
    try:
        if told.items() <= read_prediction_metadata(path).items():
            return read_predictions(path)
    except UnavailableError:
        pass  # not made yet, or the file is damaged
    predictions = make()
    write_predictions(path, predictions, told)
    return predictions


def read_table(path: Path, columns: tuple[str, ...]) -> pa.Table:
    """Read the named columns of a parquet file.

    Raises:
        UnavailableError: when the file is missing, is not parquet, or lacks a column.
    """
    try:
        # Through an open file: a path would be taken for a data set and its parents for partitions.
        with open_regular(path) as file:
            return pq.ParquetFile(file).read(columns=list(columns)).select(list(columns))
    except FileNotFoundError:
        raise UnavailableError(f"{path.name} is not there, or is no regular file.") from None
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise UnavailableError(f"{path.name} cannot be read: {error}.") from error
