"""How the page looks: Gradio's theme variables, the style sheet and the scripts of ``assets/``, the header.

Fonts are those that Gradio ships, so nothing is fetched from elsewhere. Colours that mean something (the two
sentences, base and fine-tuned) are CSS variables in ``assets/app.css``, for light and dark.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import gradio as gr
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.staticfiles import StaticFiles

from mrpc.files import PROJECT_DIR
from mrpc.settings import root_path

ASSETS_DIR = PROJECT_DIR / "assets"
PLOTLY_PATH = "assets-plotly/plotly.min.js"
PLOTLY_URL = f"{root_path()}/{PLOTLY_PATH}" if root_path() else PLOTLY_PATH
"""What the page asks for: a proxy may serve it under a path of its own."""

WEIGHTS = (400, 700)
"""Of the fonts that Gradio ships, other weights hold a few letters only."""

TEXT_SIZES = gr.themes.sizes.Size(
    xxs="0.5625rem", xs="0.625rem", sm="0.75rem", md="0.875rem", lg="1rem", xl="1.375rem", xxl="1.625rem",
    name="text_rem",
)  # fmt: skip
"""Gradio's own, but not in pixels: those would stay small when the page's text is made larger."""

INK = gr.themes.Color(
    "#f4f6f8", "#e8ecf0", "#d5dce3", "#b4c0cb", "#8797a6", "#627384", "#4a5968", "#3a4654", "#28323d",
    "#1a222b", "#12181f", name="ink",
)  # fmt: skip
TEAL = gr.themes.Color(
    "#eef7f6", "#d5ece9", "#aedad5", "#7cc1ba", "#479f98", "#24807a", "#176862", "#125550", "#0f4441",
    "#0b3331", "#062220", name="teal",
)  # fmt: skip


LIGHT_AND_DARK = {
    "body_background_fill": ("#fbfaf7", "#12171d"),
    "body_text_color": ("#1d2731", "#e3e8ec"),
    "body_text_color_subdued": ("#566472", "#9aa8b5"),
    "background_fill_primary": ("#ffffff", "#1a2129"),
    "background_fill_secondary": ("#f4f2ec", "#212a33"),
    "border_color_primary": ("#e0ddd4", "#303b46"),
    "border_color_accent": ("*primary_400", "*primary_400"),
    "block_background_fill": ("transparent", "transparent"),
    "block_border_width": ("0px", "0px"),
    "block_label_background_fill": ("transparent", "transparent"),
    "block_title_text_color": ("*body_text_color", "*body_text_color"),
    "input_background_fill": ("#ffffff", "#1a2129"),
    "input_border_color": ("#cfcabd", "#3d4a57"),
    "input_border_color_focus": ("*primary_500", "*primary_400"),
    "input_shadow_focus": ("0 0 0 3px #24807a33", "0 0 0 3px #479f9844"),
    "button_primary_background_fill": ("*primary_600", "*primary_500"),
    "button_primary_background_fill_hover": ("*primary_700", "*primary_600"),
    "button_primary_text_color": ("#ffffff", "#ffffff"),
    "button_secondary_background_fill": ("*background_fill_primary", "*background_fill_primary"),
    "button_secondary_background_fill_hover": ("*background_fill_secondary", "*background_fill_secondary"),
    "button_secondary_border_color": ("*input_border_color", "*input_border_color"),
    "button_secondary_text_color": ("*body_text_color", "*body_text_color"),
    "table_even_background_fill": ("*background_fill_primary", "*background_fill_primary"),
    "table_odd_background_fill": ("*background_fill_primary", "*background_fill_primary"),
    "code_background_fill": ("*background_fill_secondary", "*background_fill_secondary"),
}
"""What Gradio's theme variables are in light, and in dark."""


def build_theme() -> gr.themes.Base:
    """Return the theme: ink on paper, one teal accent, hairlines instead of shadows."""
    theme = gr.themes.Base(
        primary_hue=TEAL,
        secondary_hue=TEAL,
        neutral_hue=INK,
        radius_size=gr.themes.sizes.radius_sm,
        spacing_size=gr.themes.sizes.spacing_md,
        text_size=TEXT_SIZES,
        font=[gr.themes.LocalFont("IBM Plex Sans", weights=WEIGHTS), "Segoe UI", "system-ui", "sans-serif"],
        font_mono=[
            gr.themes.LocalFont("IBM Plex Mono", weights=WEIGHTS),
            "ui-monospace",
            "Consolas",
            "monospace",
        ],
    )
    dark = {f"{name}_dark": value for name, (_, value) in LIGHT_AND_DARK.items()}
    return theme.set(
        block_padding="0px",
        block_title_text_weight="600",
        input_border_width="1px",
        color_accent_soft_dark="*primary_900",
        block_shadow_dark="none",
        slider_color_dark="*primary_400",
        **{name: value for name, (value, _) in LIGHT_AND_DARK.items()},
        **dark,
    )


def collect_css() -> str:
    """Return the page's style sheet."""
    return (ASSETS_DIR / "app.css").read_text(encoding="utf-8")


def collect_head() -> str:
    """Return what goes into the page's head: the scripts of ``assets/``."""
    scripts = [path.read_text(encoding="utf-8") for path in sorted(ASSETS_DIR.glob("*.js"))]
    return "\n".join(f"<script>\n{script}\n</script>" for script in scripts)


def plotly_dir() -> Path:
    """Return the folder of the plotly package that holds plotly.min.js."""
    plotly = find_spec("plotly")  # found, not imported: that would cost time before the page is up
    assert plotly is not None
    assert plotly.origin is not None
    return Path(plotly.origin).parent / "package_data"


def static_routes() -> list[BaseRoute]:
    """Return the routes of files served as they are: plotly.js of the plotly package, nothing else."""
    files = StaticFiles(directory=plotly_dir())

    async def send_plotly(request: Request) -> Response:
        return await files.get_response(PLOTLY_PATH.rpartition("/")[2], request.scope)

    # A Mount would look for the file under the path of a proxy, which the proxy has taken away.
    return [Route(f"/{PLOTLY_PATH}", send_plotly)]
