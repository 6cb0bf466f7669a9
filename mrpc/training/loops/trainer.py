"""The course's Trainer: the loop is transformers' own, and the session hangs in by a few overrides."""

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import EvalPrediction, PrinterCallback, Trainer, TrainingArguments
from transformers.trainer_utils import EvalLoopOutput

from mrpc.core.model.metrics import new_metric
from mrpc.core.model.trainer_arguments import trainer_arguments
from mrpc.files import write_model
from mrpc.runs.layout import TrainerReport
from mrpc.training.session import TrainingSession


def train(session: TrainingSession) -> None:
    """Fine-tune the session's model to its last step."""
    args = TrainingArguments(
        output_dir=str(session.run.paths.derived),
        use_cpu=session.device.type == "cpu",
        dataloader_pin_memory=session.device.type != "cpu",
        **{**trainer_arguments(session.config, session.num_steps), "bf16": False},  # the model does it itself
    )
    args._n_gpu = 1  # one process, one device: no DataParallel
    validation = session.validation.encoded
    with torch.random.fork_rng():  # Trainer seeds anew when it is made
        bare = Trainer(session.model, args, session.collate, eval_dataset=validation.select(range(1)))
        trainer = SessionTrainer(
            session.model,
            args,
            data_collator=session.collate,
            train_dataset=session.train,
            eval_dataset=validation,
            processing_class=session.tokenizer,
            compute_metrics=compute_metrics,
        )
        trainer.session = session
        for each in (bare, trainer):
            each.remove_callback(PrinterCallback)
        report = TrainerReport(
            without_compute_metrics=bare.evaluate(),
            with_compute_metrics=trainer.predict(validation, metric_key_prefix="eval").metrics or {},
        )
    write_model(session.run.paths.trainer_report, report)
    trainer.train()


def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """Return accuracy and F1; without this function Trainer reports the loss alone."""
    metric = new_metric()
    predictions = np.argmax(prediction.predictions, axis=-1)
    return metric.compute(predictions=predictions, references=prediction.label_ids) or {}


class SessionTrainer(Trainer):
    """Trainer on the session's batches, telling the session what it computes."""

    session: TrainingSession
    loss_is_scaled_for_ga = False  # compute_loss returns the mean of one batch

    def get_train_dataloader(self) -> DataLoader[object]:
        """Return the session's batches, of whichever epoch is under way."""
        batches = EpochBatches(self.session)
        generator = torch.Generator()  # or iter() would draw from the global one
        return DataLoader(
            cast(Any, self.session.train),
            batch_sampler=batches,
            collate_fn=self.data_collator,
            generator=generator,
        )

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Return the mean loss of a batch, in training and evaluation."""
        outputs = model(**inputs)
        if model.training:
            self.session.on_batch(outputs.loss, outputs.logits, inputs)
        return (outputs.loss, outputs) if return_outputs else outputs.loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Record a step; Trainer logs evaluations and its summary here as well."""
        super().log(logs, start_time)
        if "learning_rate" in logs:
            self.session.on_step(logs["learning_rate"], logs["grad_norm"])

    def prediction_step(self, *args: Any, **kwargs: Any) -> Any:
        """Predict a batch, and show that the process lives."""
        self.session.on_progress()
        return super().prediction_step(*args, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Evaluate at the end of an epoch, and close it."""
        metrics = super().evaluate(*args, **kwargs)
        self.session.end_epoch()
        return metrics

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> EvalLoopOutput:
        """Evaluate or predict validation, and record it."""
        self.session.begin_evaluation()
        with torch.random.fork_rng():  # Trainer's loaders draw random numbers
            output = super().evaluation_loop(*args, **kwargs)
        metrics = {name.removeprefix("eval_"): value for name, value in (output.metrics or {}).items()}
        self.session.record_evaluation(metrics, np.asarray(output.predictions))
        return output


class EpochBatches:
    """Row numbers, batch by batch; each pass over them is the next epoch."""

    def __init__(self, session: TrainingSession) -> None:
        self.session = session
        self.epochs = session.epochs()

    def __len__(self) -> int:
        return self.session.batches_per_epoch

    def __iter__(self) -> Iterator[list[int]]:
        next(self.epochs)
        rows = self.session.batches().batch_sampler
        assert rows is not None
        yield from rows
