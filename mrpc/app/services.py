"""Where the services are put together: the only place that knows them all.

A service module that brings datasets or torch along is imported when it is first asked for. The page
is up long before that; :meth:`Services.warm_up` then loads what the first click will need.
"""

from __future__ import annotations

import importlib
import threading
import time
from typing import TYPE_CHECKING

from mrpc.app.access import Access, Mode
from mrpc.app.checkpoints import CheckpointShelf
from mrpc.app.own_data import OwnData
from mrpc.app.task import Tasks
from mrpc.app.train.estimates import Estimates
from mrpc.app.train.launcher import Launcher
from mrpc.app.train.take_away import Publishing
from mrpc.app.visitors import Visitors
from mrpc.errors import MrpcError
from mrpc.recent import built_once
from mrpc.runs.store import RunStore
from mrpc.settings import Settings

if TYPE_CHECKING:
    from mrpc.app.compare.background import Background
    from mrpc.app.compare.comparisons import Comparisons
    from mrpc.app.tokenize.batch import Padding
    from mrpc.app.tokenize.data import Explorer
    from mrpc.app.tokenize.pair import Inspection
    from mrpc.app.tokenize.speed import TokenizationSpeed
    from mrpc.app.tokenize.step import FirstSteps
    from mrpc.app.train.zero_gpu import Loans
    from mrpc.core.data.load import LoadedData

PAUSE_BEFORE_TORCH_S = 1.0


class Services:
    """What the tabs call. One for a whole app; everything in it may be used from many threads.

    Attributes:
        settings: of this process.
        store: the runs.
        access: who may do what.
        visitors: what visitors may train.
        tasks: the long work that pages wait for.
        publishing: cards of finished runs, and their way to the Hub.
        page_is_up: set when the first page is drawn: from then on the heavy imports disturb nobody.
    """

    def __init__(self, settings: Settings, loans: Loans | None = None) -> None:
        self._loans = loans
        self.settings = settings
        self.store = RunStore(settings.runs_dir)
        self.access = Access(settings)
        self.visitors = Visitors(self.store, self.access.trains_visitors)
        self.tasks = Tasks(is_training=lambda: self.store.holder() is not None)
        self.publishing = Publishing(self.store)
        self.page_is_up = threading.Event()
        self._libraries_lock = threading.Lock()

    @built_once
    def data(self) -> LoadedData:
        """The data in use, loaded at the first use; DataError or UnavailableError as long as it cannot be."""
        self.import_libraries()
        from mrpc.core.data.load import load_data

        return load_data("auto", self.settings.data_dir, self.settings.columns)

    @built_once
    def inspection(self) -> Inspection:
        """Tokens of pairs."""
        self.import_libraries()
        from mrpc.app.tokenize.pair import Inspection

        return Inspection(self.checkpoints)

    @built_once
    def explorer(self) -> Explorer:
        """Rows of the data, by number, page and search."""
        self.import_libraries()
        from mrpc.app.tokenize.data import Explorer

        return Explorer(lambda: self.data)

    @built_once
    def padding(self) -> Padding:
        """Batches as grids, and what padding costs over a split."""
        self.import_libraries()
        from mrpc.app.tokenize.batch import Padding

        return Padding(lambda: self.data, self.checkpoints)

    @built_once
    def tokenization_speed(self) -> TokenizationSpeed:
        """How long the ways of tokenizing a split take."""
        self.import_libraries()
        from mrpc.app.tokenize.speed import TokenizationSpeed

        return TokenizationSpeed(lambda: self.data, self.checkpoints)

    @built_once
    def first_steps(self) -> FirstSteps:
        """From a tokenized split to the logits, and single steps of training."""
        self.import_libraries()
        from mrpc.app.tokenize.step import FirstSteps

        return FirstSteps(lambda: self.data, self.checkpoints)

    @built_once
    def checkpoints(self) -> CheckpointShelf:
        """The checkpoints that may be chosen, whether they are available now, and their tokenizers."""
        if self.settings.checkpoint_dirs:  # a folder is tried, with transformers
            self.import_libraries()
        return CheckpointShelf(self.settings.checkpoint_dirs)

    @built_once
    def own_data(self) -> OwnData:
        """The data that people bring, beside that of the app."""
        self.import_libraries()
        return OwnData(self.store, lambda: self.data)

    @built_once
    def launcher(self) -> Launcher:
        """Starts and stops trainings."""
        return Launcher(self.store, lambda: self.data, self.checkpoints, self.visitors, self._loans)

    @built_once
    def estimates(self) -> Estimates:
        """What a training will need."""
        return Estimates(self.store, self.checkpoints)

    @built_once
    def comparisons(self) -> Comparisons:
        """Base and fine-tuned side by side."""
        self.import_libraries()  # it imports pandas and pyarrow too, and later transformers
        from mrpc.app.compare.comparisons import Comparisons

        return Comparisons(self.store, lambda: self.data, self.settings)

    @built_once
    def background(self) -> Background:
        """What is worked out before somebody asks for it."""
        from mrpc.app.compare.background import Background

        return Background(self.store, lambda: self.comparisons)

    def import_libraries(self) -> None:
        """Import datasets and transformers in one thread before any other may use them.

        While one thread still imports transformers, a second one that hashes a data set fails in it.
        """
        with self._libraries_lock:
            importlib.import_module("datasets")
            importlib.import_module("transformers.tokenization_utils_base")

    def warm_up(self) -> None:
        """Load the tokenizer, the data and torch, so that the first click need not wait for them.

        Torch comes last and after a pause, because its import holds up whatever answers meanwhile: the first
        tokens of the page that was just opened. Trouble is left for the click that meets it, which can say it
        to a person.
        """
        for load in (lambda: self.data, lambda: self.inspection, lambda: self.checkpoints.tokenizer()):
            try:
                load()
            except MrpcError:
                continue
        time.sleep(PAUSE_BEFORE_TORCH_S)
        torch = importlib.import_module("torch")
        if self.access.mode is not Mode.LOCAL:
            torch.set_num_threads(1)  # many people are answered: two threads cost them half as much again
