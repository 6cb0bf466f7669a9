"""The Compare tab: what fine-tuning changed, from one pair to a whole report."""
