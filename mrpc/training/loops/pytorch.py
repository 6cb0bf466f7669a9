"""The course's plain PyTorch loop: everything by hand, on one device, in one process."""

import torch
from torch.nn.utils import clip_grad_norm_

from mrpc.core.metrics import new_metric
from mrpc.training.session import TrainingSession


def train(session: TrainingSession) -> None:
    """Fine-tune the session's model to its last step."""
    config, device = session.config, session.device
    model, optimizer, scheduler = session.model, session.optimizer, session.scheduler
    if session.step == 0:
        evaluate(session)

    for _epoch in session.epochs():
        model.train()
        batches = session.batches()
        for number, batch in enumerate(batches, start=1):
            batch = {name: tensor.to(device) for name, tensor in batch.items()}
            outputs = model(**batch)
            loss = outputs.loss / config.gradient_accumulation_steps
            session.on_batch(outputs.loss, outputs.logits, batch)
            loss.backward()
            if number % config.gradient_accumulation_steps and number < len(batches):
                continue
            grad_norm = clip_grad_norm_(model.parameters(), config.max_grad_norm or float("inf"))
            session.require_finite_gradient(grad_norm)
            learning_rate = scheduler.get_last_lr()[0]
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            session.on_step(learning_rate, grad_norm)
            if session.step == session.num_steps:
                break
        evaluate(session)
        session.end_epoch()


def evaluate(session: TrainingSession) -> None:
    """Predict validation, batch by batch, and compute the metric at the end."""
    model, device = session.model, session.device
    metric = new_metric()
    session.begin_evaluation()
    model.eval()
    for batch in session.validation.loader():
        batch = {name: tensor.to(device) for name, tensor in batch.items()}
        with torch.no_grad():
            logits = model(**batch).logits
        metric.add_batch(predictions=logits.argmax(dim=-1), references=batch["labels"])
        session.on_evaluation_batch(logits)
    session.record_evaluation(metric.compute())
