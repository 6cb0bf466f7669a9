"""Folds that are filled while they are open alone: some need imports of seconds."""


def run_of_open_fold(elem_id: str) -> str:
    """Return JavaScript for an event whose first input is a run: it sends false while a fold is closed."""
    return f"""
(run, ...rest) => {{
  const isOpen = document.querySelector('#{elem_id} > button.open') !== null;
  return [isOpen && (run ?? ""), ...rest];
}}"""
