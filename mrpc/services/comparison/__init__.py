"""Base and fine-tuned, or any two sides, compared. Without widgets.

:class:`Comparison` is what the Compare tab and its endpoints call; each room of it is a file of this
package. torch is imported when a model has to answer, not to show what runs recorded.
"""

from mrpc.services.comparison.comparison import Comparison
from mrpc.services.comparison.one_pair import PairAnswer

__all__ = ["Comparison", "PairAnswer"]
