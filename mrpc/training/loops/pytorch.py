"""The course's plain PyTorch loop: everything by hand, on one device, in one process."""

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_

from mrpc.core.model.metrics import new_metric
from mrpc.training.session import Batch, TrainingSession


def train(session: TrainingSession) -> None:
    """Fine-tune the session's model to its last step."""
    config, device = session.config, session.device
    max_grad_norm = config.max_grad_norm or float("inf")
    model, optimizer, validation = session.model, session.optimizer, session.validation.loader()
    scheduler = session.scheduler
    if session.base_is_due:
        evaluate(session, model, validation)

    for _epoch in session.epochs():
        model.train()
        batches = session.batches()
        for number, batch in enumerate(batches, start=1):
            batch = {name: tensor.to(device) for name, tensor in batch.items()}
            outputs = model(**batch)
            session.on_batch(outputs.loss, outputs.logits, batch)
            loss = outputs.loss / config.gradient_accumulation_steps
            loss.backward()
            if number % config.gradient_accumulation_steps and number < len(batches):
                continue
            grad_norm = clip_grad_norm_(model.parameters(), max_grad_norm)
            session.require_finite_gradient(grad_norm)
            learning_rate = scheduler.get_last_lr()[0]
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            session.on_step(learning_rate, grad_norm)
            if session.base_is_due:
                with session.base_weights():
                    evaluate(session, model, validation)
                model.train()
            if session.step == session.num_steps:
                break
        evaluate(session, model, validation)
        session.end_epoch()


def evaluate(session: TrainingSession, model: nn.Module, validation: Iterable[Batch]) -> None:
    """Predict validation, batch by batch, and compute the metric at the end."""
    metric = new_metric()
    session.begin_evaluation()
    model.eval()
    for batch in validation:
        batch = {name: tensor.to(session.device) for name, tensor in batch.items()}
        with torch.no_grad():
            logits = model(**batch).logits
        references = batch["labels"]
        metric.add_batch(predictions=logits.argmax(dim=-1), references=references)
        session.on_evaluation_batch(logits)
    session.record_evaluation(metric.compute())
