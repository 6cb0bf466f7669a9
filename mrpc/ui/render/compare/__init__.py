"""How a comparison looks: pure functions from what services return to HTML, tables and figures."""
