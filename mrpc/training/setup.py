"""What a training needs before its first step: pairs, model, optimizer, and how its steps are computed."""

from __future__ import annotations

import torch
from transformers import get_scheduler

from mrpc.core.data.load import LoadedData, load_again, select_train_pairs
from mrpc.core.model.checkpoint_folder import weights_sha256
from mrpc.core.model.classifier import load_classifier, require_known_tokens
from mrpc.core.model.fast_bert import DropoutStream, use_fast_forward, why_not_fast
from mrpc.core.model.precision import select_precision, train_in_bfloat16
from mrpc.core.model.pretrained import load_tokenizer, resolve_pretrained
from mrpc.core.model.recipe import add_shared_words, freeze, learn_shared_words, start_pooler_as_identity
from mrpc.core.text.batching import PairCollator
from mrpc.runs import events as ev
from mrpc.runs.run import Run
from mrpc.settings import requested_mixed_precision
from mrpc.training.pairs import TrainPairs, Validation
from mrpc.training.ranks import Ranks
from mrpc.training.report import Reporter


class TrainingSetup:
    """Everything that is loaded and built once for an attempt at a run.

    The order matters: it is that in which random numbers are drawn.

    Attributes:
        config: the hyperparameters.
        model: the classifier, plain, on ``device``.
        optimizer, scheduler: AdamW and its learning rate; the scheduler steps once an optimizer step.
        train, validation: the pairs to train on, and those to evaluate on.
        collate: pads encoded pairs to a batch.
        ranks: the processes of this training.
        device: where the model lives.
        mixed_precision: what the steps compute in, "no", "bf16" or "fp16", as the hardware allows.
        num_steps: optimizer steps of the whole training.
    """

    def __init__(self, run: Run, data: LoadedData, report: Reporter, ranks: Ranks) -> None:
        self.run, self.report, self.ranks = run, report, ranks
        self.config = config = run.config.hyperparameters
        self.device = ranks.device
        self.mixed_precision, warning = select_precision(config, requested_mixed_precision(), ranks.device)
        if warning:
            report.emit(ev.WarningEvent(message=warning))

        report.phase("loading the checkpoint")
        self.checkpoint = resolve_pretrained(config.checkpoint, run.config.checkpoint_dir)
        self.tokenizer = load_tokenizer(self.checkpoint)
        report.phase("tokenizing")
        train = select_train_pairs(data.dataset["train"], config.num_train_pairs, config.seed)
        self.train = TrainPairs(self.tokenizer, train, config, report.show_life)
        self.validation = Validation(self.tokenizer, data.dataset["validation"], config.max_length)
        report.check_stop()

        self.model, self.new_parameters, self.encoder = load_classifier(
            self.checkpoint, config.seed, config.attention_dropout, run.config.data.label_names
        )
        require_known_tokens(self.model, self.tokenizer, self.checkpoint.name)
        for note in self.encoder.notes:
            report.emit(ev.WarningEvent(message=f"{self.checkpoint.name}: {note}"))
        if config.pooler_start == "identity":
            self.new_parameters += start_pooler_as_identity(self.model)
        freeze(self.model, config.freeze_word_embeddings, config.freeze_layers)
        self.base_sha256 = weights_sha256(self.model)
        self.second_task = (
            add_shared_words(self.model, self.tokenizer, config.shared_words_weight)
            if config.shared_words_weight
            else None
        )
        if ranks.rank > 0:  # the main process goes on with the numbers after the head's
            torch.manual_seed(config.seed + ranks.rank)
        torch.nn.Module.to(self.model, self.device)  # transformers hides the type of its own
        self.dropout = DropoutStream(config.seed + ranks.rank)
        is_fast = config.fast and self._compute_fast()
        if self.second_task and not is_fast:
            learn_shared_words(self.model, self.second_task)
        if self.mixed_precision == "bf16" and not is_fast:
            train_in_bfloat16(self.model)
        self.optimizer = torch.optim.AdamW(
            _parameter_groups(self.model, config.weight_decay), lr=config.learning_rate, fused=True
        )
        self.batches_per_epoch = config.batches_per_epoch(len(self.train))
        self.num_steps = config.num_steps(len(self.train))
        self.scheduler = get_scheduler(
            config.lr_scheduler_type,
            self.optimizer,
            round(config.warmup_ratio * self.num_steps),
            self.num_steps,
        )
        self.collate = PairCollator(self.tokenizer)

    def _compute_fast(self) -> bool:
        reason = why_not_fast(self.model)
        if reason:
            self.report.emit(ev.WarningEvent(message=f"The fast forward pass is not used: {reason}."))
            return False
        trains_words = self.model.get_input_embeddings().weight.requires_grad
        is_exact = self.config.weight_decay == 0.0  # decay would move the other rows, too
        token_ids = self.train.token_ids() if trains_words and is_exact else None
        dtype = torch.bfloat16 if self.mixed_precision == "bf16" else torch.float32
        use_fast_forward(self.model, self.dropout, token_ids, self.second_task, dtype)
        return True


def load_run_data(run: Run) -> LoadedData:
    """Load the data that the run was created with.

    Raises:
        DataError: when the rows are not the same any more.
    """
    ref = run.config.data
    return load_again(ref.kind, ref.data_dir, ref.columns, ref.fingerprint)


def _parameter_groups(model: torch.nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Split the parameters in those that decay (matrices) and those that do not (biases, norms)."""
    decayed = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    spared = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": spared, "weight_decay": 0.0}]
