"""What is computed about models and their answers. Pure functions; no files, no page."""
