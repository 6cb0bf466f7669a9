"""Pure functions from data to HTML, table rows and plotly figures (plain dicts). No gradio."""
