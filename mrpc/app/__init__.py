"""The page: views, what they compute, and the server. Imports core and runs; never training."""
