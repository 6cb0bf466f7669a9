"""What all training loops share: batches, records, evaluations, checkpoints, stopping.

A loop (see :mod:`mrpc.training.loops`) reads like the course's: ``for epoch in session.epochs()``, ``for
batch in session.batches()``, forward, backward, step, and an evaluation with ``metric.add_batch``. What
makes a run watchable and resumable is here.

Exact resume rests on four rules. The order of the pairs is a pure function of (seed, epoch). Loaders own
their generator. Evaluation draws no random numbers. The random states are restored last, right before the
first repeated step.

With several processes each has a session of its own and takes its share of every batch; the main one
alone writes. Everything that a process decides for all of them is broadcast.
"""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from torch.utils.data import DataLoader

from mrpc.config import LARGE_CHECKPOINT_BYTES, RESUMABLE_LOOPS, LoopName
from mrpc.core.data.load import LoadedData
from mrpc.core.model.checkpoint_folder import weights_sha256
from mrpc.core.model.classifier import load_base, save_base_tensors, save_model_folder
from mrpc.core.model.metrics import majority_metrics
from mrpc.core.model.prediction import Predictor
from mrpc.core.model.stored_predictions import write_predictions
from mrpc.core.text.batching import Batches
from mrpc.errors import TrainingError
from mrpc.runs import events as ev
from mrpc.runs.process import installed_versions
from mrpc.runs.record import is_new_best
from mrpc.runs.run import Run
from mrpc.training import checkpoints
from mrpc.training.checkpoints import RandomState, read_random_state, restore_random_state
from mrpc.training.pairs import EpochRecords, StepTotals, pair_records
from mrpc.training.ranks import Ranks
from mrpc.training.report import Reporter, StopTraining, peak_memory_bytes
from mrpc.training.setup import TrainingSetup

Batch = dict[str, torch.Tensor]

BASE_EVALUATION_STEP = 10
"""The untrained model is evaluated after this many steps, so that nobody waits for it before the first."""

CHECKPOINTS_SHARE = 0.02
"""Large checkpoints are written so seldom that they take no larger share of the time: BERT-base's, which took
3 to 4 s on two cores, every three minutes."""


class TrainingSession(TrainingSetup):
    """One attempt at one run.

    Attributes:
        step: optimizer steps done.
        epoch: the epoch under way, 1-based; 0 before the first.
        checkpoint_interval_s: time from one checkpoint to the next within an epoch, at least.
    """

    def __init__(self, run: Run, data: LoadedData, report: Reporter, ranks: Ranks) -> None:
        """Load and build everything; no step is done."""
        super().__init__(run, data, report, ranks)
        self.step = 0
        self.epoch = 0
        self.checkpoint_interval_s = self.config.checkpoint_every_s
        self._position = 0  # batches of this epoch that are done
        self._best: dict[str, Any] = {}  # epoch, f1, accuracy
        self._records = EpochRecords()
        self._train_s_before = 0.0
        self._resume_random_state: RandomState | None = None
        self._evaluation_began_at = 0.0
        self._rows = Batches(0, lambda number: [])
        self._base_is_evaluated = self._shows_base = False
        self._totals = StepTotals()

    # ---------------------------------------------------------------- the course of a training

    def begin(self) -> None:
        """Restore the newest checkpoint, or keep what makes the untrained model again."""
        checkpoint = checkpoints.load_newest(self.run.paths.checkpoints)
        cut_step = self.report.status.step
        if checkpoint is not None:
            self._restore(checkpoint)
            self.report.emit(ev.ResumedEvent(step=self.step, cut_step=cut_step, skipped=checkpoint.skipped))
        elif self.ranks.is_main:
            save_base_tensors(self.model, self.new_parameters, self.run.paths.base, self.checkpoint.sha256)
        majority = majority_metrics(self.validation.dataset["label"])
        self.report.set_shape(self.num_steps, self.config.num_epochs, len(self.train))
        self.report.emit(
            ev.StartedEvent(
                step=self.step,
                num_steps=self.num_steps,
                num_epochs=self.config.num_epochs,
                num_train_pairs=len(self.train),
                num_validation_pairs=len(self.validation),
                majority_accuracy=majority["accuracy"],
                majority_f1=majority["f1"],
                device=str(self.device),
                num_threads=torch.get_num_threads(),
                num_processes=self.ranks.world_size,
                mixed_precision=cast(Any, self.mixed_precision),
                versions=installed_versions(),
                base_weights_sha256=self.base_sha256,
                checkpoint_sha256=self.checkpoint.sha256,
                new_parameters=self.new_parameters,
                num_encoder_tensors=self.encoder.num_tensors,
                num_loaded_tensors=self.encoder.num_loaded,
                encoder_notes=list(self.encoder.notes),
                max_length=min(self.config.max_length, self.tokenizer.model_max_length),
            )
        )
        self._began_at = time.monotonic()
        self.report.phase("training")
        self._last_checkpoint_at = time.monotonic()
        self._last_step_at = time.monotonic()

    def epochs(self) -> Iterator[int]:
        """Yield the epochs that are left, 1-based; after each one the loop calls :meth:`end_epoch`."""
        first = max(self.epoch, 1)
        for epoch in range(first, self.config.num_epochs + 1):
            if self.step >= self.num_steps:
                return
            if epoch != self.epoch:
                self.epoch, self._position = epoch, 0
            yield epoch

    def batches(self) -> DataLoader[Batch]:
        """Return this process' share of the batches of this epoch that are left, in the order f(seed, epoch).

        Each is a dict of int64 tensors: input_ids, attention_mask and, where the model has them,
        token_type_ids of shape [B, T], and labels [B].
        """
        self._rows = self.train.batches(self.epoch - 1)
        rows = self._rows[self._position :]
        left = Batches(len(rows), lambda number: self.ranks.share(rows[number]))
        generator = torch.Generator().manual_seed(self.config.seed)  # or iter() draws from the global one
        if self._resume_random_state is not None:
            restore_random_state(self._resume_random_state, self.dropout)
            self._resume_random_state = None
        return DataLoader(
            cast(Any, self.train),  # a map-style data set by its methods; torch wants a subclass
            batch_sampler=self.train.shown(left, self.epoch - 1),
            collate_fn=self.collate,
            generator=generator,
        )

    @property
    def share_weight(self) -> float:
        """What to multiply the loss of the next batch with: see :meth:`mrpc.training.ranks.Ranks.weight`."""
        return self.ranks.weight(len(self._rows[self._position]))

    def on_batch(self, loss: torch.Tensor, logits: torch.Tensor, batch: Batch) -> None:
        """Record what the forward pass of one batch gave, in all processes together.

        Args:
            loss: mean loss of this process' share, in nats; scalar. What is recorded is the cross-entropy of
                the answers alone, without that of a second task.
            logits: [B, C].
            batch: what the model was given.

        Raises:
            TrainingError: when the loss is not finite.
        """
        rows = self._rows[self._position]
        own = pair_records(logits, batch["labels"], batch["attention_mask"], self.config.num_orders)
        pairs = self.ranks.gather_rows(own, len(rows))
        is_mean = self.ranks.are_several or self.second_task is not None
        value = pairs[:, 0].mean().item() if is_mean else loss.item()
        self._require_finite("loss", value)
        self._records.add(rows, pairs)
        self._position += 1
        self._totals.add(value, pairs)
        self.report.show_life()  # a step of many batches would seem stalled

    def on_step(self, learning_rate: float, grad_norm: torch.Tensor | float) -> None:
        """Record one optimizer step, write a checkpoint when it is due, and end if the user asked for it.

        Raises:
            StopTraining: when the user asked for the end.
        """
        self.step += 1
        now = time.monotonic()
        totals, self._totals = self._totals, StepTotals()
        self.report.emit(
            ev.StepEvent(
                step=self.step,
                epoch=self.epoch - 1 + self._position / self.batches_per_epoch,
                loss=totals.loss,
                learning_rate=learning_rate,
                grad_norm=float(grad_norm),
                num_pairs=totals.num_pairs,
                num_tokens=totals.num_tokens,
                num_padded_tokens=totals.num_padded_tokens,
                duration_s=now - self._last_step_at,
                train_s=self.train_s,
            )
        )
        is_due = now - self._last_checkpoint_at >= self.checkpoint_interval_s and not self._epoch_is_done
        is_due, save = self.ranks.broadcast((is_due, self.report.requested_stop()))
        if is_due:
            self.save_checkpoint()
        self._last_step_at = time.monotonic()
        if save is not None:
            raise StopTraining(save)

    def require_finite_gradient(self, grad_norm: torch.Tensor) -> None:
        """Raise an error for a gradient that is not finite, before the optimizer applies it.

        In float16 accelerate scales the loss, and leaves such a step out itself.
        """
        if self.mixed_precision != "fp16":
            self._require_finite("gradient norm", grad_norm.item())

    @property
    def base_is_due(self) -> bool:
        """Whether the untrained model is to be evaluated now: after some steps, within :meth:`base_weights`.

        Before the first step where a tracker is told, as not every one takes a number for an earlier step.
        """
        first = 0 if self.run.config.log_with else BASE_EVALUATION_STEP
        return not self._base_is_evaluated and (self.step >= first or self._epoch_is_done)

    @contextmanager
    def base_weights(self) -> Iterator[None]:
        """Give the model the weights of before the first step, and the trained ones back afterwards."""
        trained = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        base = load_base(self.checkpoint, self.run.paths.base)
        self.model.load_state_dict(base.state_dict(), strict=False)  # a second task is not in it
        self._shows_base = True
        try:
            yield
        finally:
            self._shows_base = False
            self.model.load_state_dict(trained)

    def begin_evaluation(self) -> None:
        """Say that the model is evaluated on validation now."""
        self.report.phase("evaluating")
        self._evaluation_began_at = time.monotonic()
        self.validation.begin()

    def on_evaluation_batch(self, logits: torch.Tensor) -> None:
        """Take in what the model answers to the next batch of ``validation.loader()``.

        Args:
            logits: [B, C], for all pairs of the batch, those of the other processes too.
        """
        self.validation.add(logits)
        self.on_progress()

    def on_progress(self) -> None:
        """Show that the process is alive; end a run of one process if the user asked for it."""
        self.report.show_life()
        if not self.ranks.are_several:
            self.report.check_stop()

    def record_evaluation(self, metrics: Mapping[str, float], logits: np.ndarray | None = None) -> None:
        """Write the predictions, and keep the weights if they are the best so far.

        Args:
            metrics: accuracy and f1, as the loop's metric computed them.
            logits: the answers in the order of the data set; None takes those of :meth:`on_evaluation_batch`.
        """
        epoch, step = (0, 0) if self._shows_base else (self.epoch, self.step)
        self._base_is_evaluated |= epoch == 0
        predictions = self.validation.predictions(self.validation.logits() if logits is None else logits)
        self._require_finite("validation loss", predictions.loss)
        if not self.ranks.is_main:
            return
        scores = {"accuracy": float(metrics["accuracy"]), "f1": float(metrics["f1"])}
        weights_hash = weights_sha256(self.model)
        write_predictions(
            self.run.paths.validation_predictions(epoch),
            predictions,
            {"step": str(step), "epoch": str(epoch), "weights_sha256": weights_hash},
        )
        is_best = is_new_best(epoch, scores["f1"], self._best.get("f1"))
        if is_best:
            self._best = {"epoch": epoch, "weights_sha256": weights_hash, **scores}
            save_model_folder(self.model, self.tokenizer, self.run.paths.best_model)
        if epoch > 0 and self.config.keep_epochs == "all":
            save_model_folder(self.model, self.tokenizer, self.run.paths.epoch_model(epoch))
        self.report.emit(
            ev.EvaluationEvent(
                step=step,
                epoch=epoch,
                loss=predictions.loss,
                accuracy=scores["accuracy"],
                f1=scores["f1"],
                num_predicted_equivalent=int(predictions.predicted.sum()),
                num_pairs=len(predictions),
                duration_s=time.monotonic() - self._evaluation_began_at,
                is_best=is_best,
                weights_sha256=weights_hash,
            )
        )
        self._answer_pinned_pairs(epoch, step)
        self.report.phase("training")
        self._last_step_at = time.monotonic()

    def end_epoch(self) -> None:
        """Write the losses of the training pairs, and a checkpoint."""
        records, self._records = self._records, EpochRecords()
        if self.ranks.is_main:
            records.write(self.run.paths.train_records(self.epoch), self.train.idx, self.epoch)
        self.epoch, self._position = self.epoch + 1, 0
        self.save_checkpoint()
        self._last_step_at = time.monotonic()

    def finish(self) -> None:
        """Keep the last weights and say that the training ran to its end."""
        if not self.ranks.is_main:
            return
        self.report.phase("saving the model")
        save_model_folder(self.model, self.tokenizer, self.run.paths.last_model)
        finished = ev.FinishedEvent(
            step=self.step,
            train_s=self.train_s,
            peak_memory_bytes=peak_memory_bytes(),
            best_epoch=self._best["epoch"],
            weights_sha256={"best": self._best["weights_sha256"], "last": weights_sha256(self.model)},
        )
        self.report.end(finished, phase="finished", outcome="finished", train_s=self.train_s)
        checkpoints.delete_all(self.run.paths.checkpoints)

    def stop(self, save: bool) -> None:
        """End because the user asked: keep a checkpoint and the weights, or delete them all."""
        hashes: dict[str, str] = {}
        if save and self.step > 0:
            self.report.phase("finishing the step, writing the checkpoint")
            self.save_checkpoint()
        if not self.ranks.is_main:
            return
        if not save:
            self.run.discard_weights()
        elif self.step > 0:
            save_model_folder(self.model, self.tokenizer, self.run.paths.last_model)
            if not self._best.get("epoch"):
                save_model_folder(self.model, self.tokenizer, self.run.paths.best_model)
            hashes["last"] = weights_sha256(self.model)
        stopped = ev.StoppedEvent(step=self.step, saved=save, train_s=self.train_s, weights_sha256=hashes)
        self.report.end(stopped, phase="stopped", outcome="stopped", train_s=self.train_s)

    # ---------------------------------------------------------------- its parts

    @property
    def train_s(self) -> float:
        """Training time so far in seconds, with validations, over all attempts; without loading and test."""
        return self._train_s_before + time.monotonic() - self._began_at

    @property
    def _epoch_is_done(self) -> bool:
        return self._position >= self.batches_per_epoch or self.step >= self.num_steps

    def save_checkpoint(self) -> None:
        """Write everything that a resumed run needs to go on exactly."""
        started_at = time.monotonic()
        random_states = self.ranks.gather(read_random_state(self.dropout))
        if not self.ranks.is_main or self.config.loop not in RESUMABLE_LOOPS:
            return  # transformers' Trainer keeps a state of its own
        state = {
            "epoch": self.epoch,
            "position": self._position,
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "random": random_states,  # one a process
            "best": self._best,
            "base_is_evaluated": self._base_is_evaluated,
            "records": self._records.state_dict(),
            "train_s": self.train_s,
            "num_threads": torch.get_num_threads(),
            "mixed_precision": self.mixed_precision,
        }
        num_bytes = checkpoints.write(self.run.paths.checkpoints, self.step, self.model, state)
        self._last_checkpoint_at = time.monotonic()
        duration_s = self._last_checkpoint_at - started_at
        if num_bytes > LARGE_CHECKPOINT_BYTES:
            self.checkpoint_interval_s = max(self.config.checkpoint_every_s, duration_s / CHECKPOINTS_SHARE)
        self.report.emit(ev.CheckpointEvent(step=self.step, num_bytes=num_bytes, duration_s=duration_s))

    def _answer_pinned_pairs(self, epoch: int, step: int) -> None:
        """Predict the pairs that the user pinned; draws no random number."""
        pairs = self.run.read_pinned()
        if not pairs:
            return
        logits = Predictor(self.model, self.tokenizer, self.config.max_length).predict(
            [pair.sentence1 for pair in pairs], [pair.sentence2 for pair in pairs]
        )
        margins = logits[:, 1].astype(float) - logits[:, 0].astype(float)
        probabilities = 1.0 / (1.0 + np.exp(-margins))
        answers = {pair.pair_id: float(p) for pair, p in zip(pairs, probabilities, strict=True)}
        self.report.emit(ev.PinnedPairEvent(step=step, epoch=epoch, probabilities=answers))

    def _restore(self, checkpoint: checkpoints.TrainingCheckpoint) -> None:
        state = checkpoint.state
        self.model.load_state_dict(checkpoint.model)
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.step, self.epoch, self._position = checkpoint.step, state["epoch"], state["position"]
        self._best = state["best"]
        self._base_is_evaluated = state.get("base_is_evaluated", True)  # 0.4.1 did it before the first step
        self._records.load_state_dict(state["records"])
        self._train_s_before = state["train_s"]
        if len(state["random"]) == self.ranks.world_size:
            self._resume_random_state = state["random"][self.ranks.rank]
        for message in checkpoints.describe_differences(state, self.ranks.world_size, self.mixed_precision):
            self.report.emit(ev.WarningEvent(step=self.step, message=message))

    def _require_finite(self, what: str, value: float) -> None:
        if not math.isfinite(value):
            self.report.emit(ev.NonFiniteEvent(step=self.step + 1, what=what, value=str(value)))
            raise TrainingError(
                f"The {what} became {value} at step {self.step + 1}.",
                "Use a lower learning rate, a longer warmup, or clipping at 1.0.",
            )


def select_loop(name: LoopName) -> Callable[[TrainingSession], None]:
    """Import and return the ``train`` function of a loop."""
    loop = importlib.import_module(f"mrpc.training.loops.{name}")
    return cast("Callable[[TrainingSession], None]", loop.train)
