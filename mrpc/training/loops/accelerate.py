"""The course's Accelerate loop: the plain loop, with ``accelerator`` where devices and processes matter."""

from collections.abc import Iterable

import torch
from accelerate import Accelerator
from accelerate.data_loader import DataLoaderShard
from torch import nn

from mrpc.core.model.metrics import new_metric
from mrpc.training.session import Batch, TrainingSession


def train(session: TrainingSession) -> None:
    """Fine-tune the session's model to its last step."""
    config = session.config
    max_grad_norm = config.max_grad_norm or float("inf")
    accelerator = Accelerator(
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        mixed_precision="fp16" if session.mixed_precision == "fp16" else "no",  # bf16 is the model's own
    )
    model, optimizer, validation = accelerator.prepare(
        session.model, session.optimizer, session.validation.loader()
    )
    scheduler = session.scheduler
    if session.base_is_due:
        evaluate(session, accelerator, model, validation)

    for _epoch in session.epochs():
        model.train()
        for batch in share_batches(session, accelerator):
            with accelerator.accumulate(model):
                outputs = model(**batch)
                loss = outputs.loss * session.share_weight  # 1.0 in a single process
                session.on_batch(outputs.loss, outputs.logits, batch)
                accelerator.backward(loss)
                if not accelerator.sync_gradients:
                    continue
                grad_norm = accelerator.clip_grad_norm_(model.parameters(), max_grad_norm)
                session.require_finite_gradient(grad_norm)
                learning_rate = scheduler.get_last_lr()[0]
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
            session.on_step(learning_rate, grad_norm)
            if session.base_is_due:
                with session.base_weights():
                    evaluate(session, accelerator, model, validation)
                model.train()
            if session.step == session.num_steps:
                break
        evaluate(session, accelerator, model, validation)
        session.end_epoch()


def evaluate(
    session: TrainingSession, accelerator: Accelerator, model: nn.Module, validation: Iterable[Batch]
) -> None:
    """Predict validation, batch by batch and over all processes, and compute the metric at the end."""
    metric = new_metric()
    session.begin_evaluation()
    model.eval()
    for batch in validation:
        with torch.no_grad():
            logits = model(**batch).logits
        logits, references = accelerator.gather_for_metrics((logits, batch["labels"]))
        metric.add_batch(predictions=logits.argmax(dim=-1), references=references)
        session.on_evaluation_batch(logits)
    session.record_evaluation(metric.compute())


def share_batches(session: TrainingSession, accelerator: Accelerator) -> DataLoaderShard:
    """Return the session's batches, such that accelerate knows which one is the last of the epoch.

    The session has cut them itself, for this process and from where a resumed run goes on, so they are not
    prepared: that would cut them a second time.
    """
    batches = session.batches()
    return DataLoaderShard(
        batches.dataset,
        device=accelerator.device,
        batch_sampler=batches.batch_sampler,
        collate_fn=batches.collate_fn,
        generator=batches.generator,
    )
