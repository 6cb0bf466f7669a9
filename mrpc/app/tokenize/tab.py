"""The tab: its views, in the order in which one works through them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrpc.app.view import place

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.app.spine import Spine


def build_inspect_tab(services: Services, spine: Spine) -> None:
    """Build the tab inside the page that is being built."""
    place("<p>This tab is being rebuilt.</p>")
