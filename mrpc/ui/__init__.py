"""The page: widgets and what they show. Calls services; imports no torch, transformers or training."""
