"""The model card of a finished run: what it is, how good, how sure that is, and what it cannot do.

Every number is computed here from what the run stored, and from the model itself for the behavioural tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mrpc.config import DEFAULT_CHECKPOINT, changed_settings
from mrpc.core.analysis.behavioral_tests import make_behavioral_tests
from mrpc.core.analysis.statistics import Interval, confusion, metric_intervals
from mrpc.core.data.load import load_data
from mrpc.core.data.pairs import LABEL_NAMES
from mrpc.core.hub import DATASET
from mrpc.core.model.metrics import majority_metrics
from mrpc.core.model.pretrained import PRETRAINED
from mrpc.core.model.stored_predictions import PairPredictions, read_predictions
from mrpc.errors import RunStateError
from mrpc.publish.onnx import FILES, OnnxExport
from mrpc.runs.store import Run

if TYPE_CHECKING:
    from mrpc.core.analysis.behavioral_tests import BehavioralTest

TEMPLATE_DIR = Path(__file__).parent
HUB_NAME_OF_DEFAULT = "sentence-transformers/all-MiniLM-L6-v2"
LICENSE = "apache-2.0"
METRICS = {"accuracy": "Accuracy", "f1": "F1"}
MRPC_FINGERPRINT = "240173169f4b49ac"
"""Of the rows of GLUE's MRPC, also when they were read from a folder; see :mod:`mrpc.core.data`."""

PASS_SHARE = 0.9
"""A behavioural test that fewer of its cases pass is named among what the model cannot do."""


@dataclass(frozen=True)
class SplitScore:
    """One metric on one split.

    Attributes:
        split: "validation" or "test".
        metric: "accuracy" or "f1".
        value: in [0, 1].
        interval: 95 %, see :mod:`mrpc.core.analysis.statistics`.
        majority: the same metric of always giving the more frequent answer.
        num_pairs: in the split.
        is_one_answer: every pair of the split got the same answer.
    """

    split: str
    metric: str
    value: float
    interval: Interval
    majority: float
    num_pairs: int
    is_one_answer: bool


@dataclass(frozen=True)
class TestedBehavior:
    """How a model did on one behavioural test: ``num_passed`` of ``num_cases``."""

    __test__ = False  # its name begins as pytest's own do

    name: str
    rule: str
    num_passed: int
    num_cases: int

    @property
    def fails(self) -> bool:
        """Whether it belongs to what the model cannot do."""
        return self.num_passed < PASS_SHARE * self.num_cases


def base_model_name(run: Run) -> str:
    """Return the Hub's name of the checkpoint that a run started from, or its own name for a local one."""
    name = run.config.hyperparameters.checkpoint
    if name == DEFAULT_CHECKPOINT:
        return HUB_NAME_OF_DEFAULT
    known = PRETRAINED.get(name)
    return known.repo_id or name if known is not None else name


def score_splits(run: Run, best_epoch: int) -> list[SplitScore]:
    """Score the best model on validation and, where it was predicted, on test, from stored predictions."""
    files = {
        "validation": run.paths.validation_predictions(best_epoch),
        "test": run.paths.test_predictions("best"),
    }
    scores: list[SplitScore] = []
    for split, file in files.items():
        if file.is_file():
            scores += _score(split, read_predictions(file))
    return scores


def _score(split: str, answers: PairPredictions) -> list[SplitScore]:
    labels, predicted = answers.label, answers.predicted
    cells = confusion(labels, predicted)
    values = {"accuracy": cells.accuracy, "f1": cells.f1}
    intervals = metric_intervals(labels, predicted, answers.prob_equivalent)
    majority = majority_metrics(labels)
    return [
        SplitScore(
            split,
            metric,
            values[metric],
            intervals[metric],
            majority[metric],
            len(labels),
            is_one_answer=len(set(predicted.tolist())) == 1,
        )
        for metric in METRICS
    ]


def run_behavioral_tests(
    run: Run, on_progress: Callable[[int, int], None] = lambda num_done, num_total: None
) -> list[TestedBehavior]:
    """Ask the best model pairs made from validation whose answer is known.

    Args:
        run: a finished one.
        on_progress: told how many pairs are answered, and how many there are; what it raises ends the work.

    Raises:
        DataError: the data of the run changed since.
        UnavailableError: they cannot be had now.
    """
    from mrpc.core.model.classifier import load_finetuned
    from mrpc.core.model.prediction import predict_pairs

    ref = run.config.data
    data = load_data(ref.kind, ref.data_dir, ref.columns)
    validation = data.dataset["validation"]
    tests = make_behavioral_tests(validation["sentence1"][:], validation["sentence2"][:])
    model, tokenizer = load_finetuned(run.paths.best_model)
    max_length = run.config.hyperparameters.max_length
    num_total = sum(len(test.cases) * (2 if test.expects == "same" else 1) for test in tests)
    num_before = 0

    def says_equivalent(pairs: Sequence[tuple[str, str]]) -> list[bool]:
        first, second = ([pair[side] for pair in pairs] for side in (0, 1))
        nonlocal num_before
        logits = predict_pairs(
            model,
            tokenizer,
            first,
            second,
            max_length=max_length,
            on_progress=lambda num: on_progress(num_before + num, num_total),
        )
        num_before += len(first)
        return [bool(row[1] > row[0]) for row in logits]

    return [_judge(test, says_equivalent) for test in tests]


def _judge(test: BehavioralTest, says_equivalent: object) -> TestedBehavior:
    assert callable(says_equivalent)
    answers = says_equivalent([(case.sentence1, case.sentence2) for case in test.cases])
    if test.expects == "same":
        expected = says_equivalent([case.before for case in test.cases])
    else:
        expected = [test.expects == "equivalent"] * len(answers)
    num_passed = sum(answer == wanted for answer, wanted in zip(answers, expected, strict=True))
    return TestedBehavior(test.name, test.rule, num_passed, len(answers))


def build_card(
    run: Run,
    repo_id: str,
    best_epoch: int,
    weights_sha256: str,
    behavior: Sequence[TestedBehavior],
    versions: Mapping[str, str],
    onnx: OnnxExport | None = None,
) -> ModelCard:
    """Write the card of a run.

    Args:
        run: a finished one.
        repo_id: "owner/name" on the Hub.
        best_epoch: whose weights are published.
        weights_sha256: of these weights.
        behavior: see :func:`run_behavioral_tests`.
        versions: of the packages that trained it.
        onnx: what was exported of these weights, if anything.

    Raises:
        RunStateError: it has no scores on validation.
    """
    scores = score_splits(run, best_epoch)
    if not scores:
        raise RunStateError(f"Run {run.run_id} has no stored predictions on validation to report.")
    config, data = run.config.hyperparameters, run.config.data
    is_glue = data.kind == "hub" or data.fingerprint == MRPC_FINGERPRINT
    data_name = (
        "MRPC (GLUE)" if is_glue else {"sample": "sample pairs of MRPC Lab"}.get(data.kind, plain(data.name))
    )
    is_paraphrase = data.label_names == LABEL_NAMES
    metadata = ModelCardData(
        base_model=base_model_name(run),
        datasets=[DATASET] if is_glue else None,
        eval_results=[
            EvalResult(
                task_type="text-classification",
                task_name="Paraphrase identification" if is_paraphrase else "Sentence pair classification",
                dataset_type=DATASET if is_glue else "own",
                dataset_name=data_name,
                dataset_config="mrpc" if is_glue else None,
                dataset_split=score.split,
                metric_type=score.metric,
                metric_name=METRICS[score.metric],
                metric_value=round(score.value, 4),
            )
            for score in scores
        ],
        language="en" if is_glue or data.kind == "sample" else None,
        library_name="transformers",
        license=LICENSE,
        metrics=list(METRICS),
        model_name=repo_id.rpartition("/")[2],
        pipeline_tag="text-classification",
        tags=[
            *(["paraphrase-identification"] if is_paraphrase else []),
            "mrpc-lab",
            *(["onnx", "transformers.js"] if onnx else []),
        ],
    )
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE_DIR),
        autoescape=False,  # Markdown; every text of the run's own stands in a code span, see the filter
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = code_span
    text = environment.get_template("card.md").render(
        repo_id=repo_id,
        base_model=base_model_name(run),
        run_id=run.run_id,
        data_name=data_name,
        data=data,
        is_news=is_glue,
        is_paraphrase=is_paraphrase,
        classes=[plain(name) for name in data.label_names],
        config=config,
        changed=changed_settings(config),
        settings=config.model_dump(mode="json"),
        best_epoch=best_epoch,
        weights_sha256=weights_sha256,
        scores=scores,
        metrics=METRICS,
        behavior=behavior,
        versions=versions,
        onnx=onnx,
        onnx_files=FILES,
    )
    return ModelCard(f"---\n{metadata.to_yaml()}\n---\n\n{text}")


def plain(name: str) -> str:
    """Return a name of the data's own as it may stand in a sentence of Markdown."""
    return re.sub(r"[^\w .,()-]", " ", name)[:80].replace("__", "_").strip() or "own pairs"


def code_span(value: object) -> str:
    """Write a value as a Markdown code span on one line, whatever is in it."""
    text = " ".join(str(value).split()).replace("`", "'")
    return f"`{text}`" if text else "` `"
