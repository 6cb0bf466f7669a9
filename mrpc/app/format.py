"""How numbers and times read in the page."""

from __future__ import annotations

import time


def render_duration(seconds: float) -> str:
    """Write a duration: ``42 s``, ``3 min 05 s``, ``2 h 10 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def render_time(unix_time: float) -> str:
    """Write a moment in the server's time zone: ``14:05`` today, else ``21 Nov 14:05``."""
    moment = time.localtime(unix_time)
    is_today = time.strftime("%Y%m%d", moment) == time.strftime("%Y%m%d")
    return time.strftime("%H:%M" if is_today else "%d %b %H:%M", moment)


def render_count(num: int, noun: str) -> str:
    """Write a number with what it counts: 1 step, 1,200 steps."""
    return f"{num:,} {noun}{'s' if num != 1 else ''}"


def render_percent(share: float | None) -> str:
    """Write a share with one digit behind the point, without the sign: ``82.1``; a dash for None."""
    return "–" if share is None else f"{100 * share:.1f}"


def render_bytes(num_bytes: int) -> str:
    """Write a size: ``850 kB``, ``1.2 GB``."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= size:
            number = num_bytes / size
            return f"{number:.1f} {unit}" if number < 10 else f"{number:.0f} {unit}"
    return f"{num_bytes} bytes"


def render_p_value(p_value: float) -> str:
    """Write a p-value as papers do: ``0.043``, ``< 0.001``."""
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"
