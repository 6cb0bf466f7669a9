"""The course's plain PyTorch loop: everything by hand, on one device, in one process."""

from torch.nn.utils import clip_grad_norm_

from mrpc.training.session import TrainingSession


def train(session: TrainingSession) -> None:
    """Fine-tune the session's model to its last step."""
    config = session.config
    model, optimizer = session.model, session.optimizer

    for _epoch in session.epochs():
        model.train()
        batches = session.batches()
        for number, batch in enumerate(batches, start=1):
            batch = {name: tensor.to(session.device) for name, tensor in batch.items()}
            outputs = model(**batch)
            session.on_batch(outputs.loss, outputs.logits, batch)
            (outputs.loss / config.gradient_accumulation_steps).backward()
            if number % config.gradient_accumulation_steps and number < len(batches):
                continue
            grad_norm = clip_grad_norm_(model.parameters(), config.max_grad_norm or float("inf"))
            session.require_finite_gradient(float(grad_norm))
            learning_rate = session.scheduler.get_last_lr()[0]
            optimizer.step()
            session.scheduler.step()
            optimizer.zero_grad()
            session.on_step(learning_rate, float(grad_norm))
            if session.step == session.num_steps:
                break
        session.end_epoch()
