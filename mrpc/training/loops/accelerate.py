"""The course's Accelerate loop: the plain loop, with ``accelerator`` where devices and processes matter."""

from accelerate import Accelerator
from accelerate.data_loader import DataLoaderShard

from mrpc.training.session import TrainingSession


def train(session: TrainingSession) -> None:
    """Fine-tune the session's model to its last step."""
    config = session.config
    accelerator = Accelerator(gradient_accumulation_steps=config.gradient_accumulation_steps)
    model, optimizer = accelerator.prepare(session.model, session.optimizer)

    for _epoch in session.epochs():
        model.train()
        # The session has cut the batches itself, so that a resumed run sees the very pairs that are left;
        # the shard tells accelerate which batch is the last of the epoch.
        batches = session.batches()
        batches = DataLoaderShard(
            batches.dataset,
            device=accelerator.device,
            batch_sampler=batches.batch_sampler,
            collate_fn=batches.collate_fn,
            generator=batches.generator,
        )
        for batch in batches:
            with accelerator.accumulate(model):
                outputs = model(**batch)
                session.on_batch(outputs.loss, outputs.logits, batch)
                accelerator.backward(outputs.loss)
                if not accelerator.sync_gradients:
                    continue
                grad_norm = accelerator.clip_grad_norm_(
                    model.parameters(), config.max_grad_norm or float("inf")
                )
                session.require_finite_gradient(float(grad_norm))
                learning_rate = session.scheduler.get_last_lr()[0]
                optimizer.step()
                session.scheduler.step()
                optimizer.zero_grad()
            session.on_step(learning_rate, float(grad_norm))
            if session.step == session.num_steps:
                break
        session.end_epoch()
