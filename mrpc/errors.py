"""Every exception that MRPC Lab raises on purpose.

::

    MrpcError
    ├── InputError (also ValueError)   something a person gave cannot be used
    │   ├── ConfigError                a hyperparameter: names the field, the value and the allowed range
    │   ├── PairError                  a sentence: empty, too long, not text
    │   ├── DataError                  a data set: names the file and the line
    │   └── UnknownRunError            no such run in this runs folder
    ├── UnavailableError               the Hub, a checkpoint or a file that would be needed is not there now
    ├── BusyError                      another training holds the lock, or too much long work runs already
    ├── AccessError                    only the owner of this app may do that
    ├── TaskCancelled                  nobody wants the result of this work any more
    ├── RunStateError                  the run is not in a state that allows this
    └── TrainingError                  the training cannot go on; carries one suggested action

A message says what is wrong, which value it was, and what to do. Messages are shown to people as they
are, so they hold no stack traces. Mistakes of our own are ``assert`` statements, not exceptions from here.
"""


class MrpcError(Exception):
    """Base of everything that is raised on purpose."""


class InputError(MrpcError, ValueError):
    """Something a person gave cannot be used."""


class ConfigError(InputError):
    """A hyperparameter is out of range, of the wrong type, or unknown.

    Attributes:
        problems: what is wrong, by the name of the hyperparameter, where it is known which one it is.
    """

    def __init__(self, message: str, problems: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.problems = problems or {}


class PairError(InputError):
    """A sentence cannot be used as it is."""


class DataError(InputError):
    """A data set cannot be used; the message names the file and the line where it can."""


class UnknownRunError(InputError):
    """There is no such run in this runs folder."""


class UnavailableError(MrpcError):
    """The Hub, a checkpoint or a file that would be needed is not there now."""


class BusyError(MrpcError):
    """Another training holds the lock of this runs folder, or too much long work runs already."""

    def __init__(self, message: str, holder: str | None = None) -> None:
        super().__init__(message)
        self.holder = holder


class AccessError(MrpcError):
    """Only the owner of this app may do that."""


class TaskCancelled(MrpcError):
    """Nobody wants the result of this work any more."""


class RunStateError(MrpcError):
    """The run is not in a state that allows what was asked."""


class TrainingError(MrpcError):
    """The training cannot go on.

    Attributes:
        suggestion: one action that a person can take, in words.
    """

    def __init__(self, message: str, suggestion: str) -> None:
        super().__init__(message)
        self.suggestion = suggestion
