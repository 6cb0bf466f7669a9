"""The code of a run, to take home: written by :mod:`mrpc.services.export.code` from ``templates/``."""

from mrpc.services.export.code import FORMS, CodeExport

__all__ = ["FORMS", "CodeExport"]
