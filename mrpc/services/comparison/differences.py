"""Which words two sentences share, for whoever shows them."""

from mrpc.core.wording import Segment, mark_differences

__all__ = ["Segment", "mark_differences"]
