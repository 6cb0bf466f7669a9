"""``python -m mrpc.publish RUN_DIR owner/name``: publish a finished run from a shell."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mrpc.errors import MrpcError
from mrpc.runs.store import RunStore


def main(arguments: list[str] | None = None) -> int:
    """Publish, say how far it is, and print the address; 1 with one sentence when it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m mrpc.publish", description=__doc__)
    parser.add_argument("run_dir", type=Path, help="folder of a finished run")
    parser.add_argument("repo_id", help="owner/name on the Hub")
    parser.add_argument("--public", action="store_true", help="let everybody see it; private without this")
    parser.add_argument(
        "--predict-test",
        action="store_true",
        help="predict test first, if that was not done: the card then has scores on it",
    )
    parser.add_argument("--card-only", type=Path, metavar="DIR", help="write what would be published, only")
    given = parser.parse_args(arguments)
    run_dir = given.run_dir.expanduser().resolve()
    from mrpc.publish.answers import predict_test, read_test
    from mrpc.publish.upload import check_publishable, publish_run, write_model_folder

    try:
        run = RunStore(run_dir.parent).open(run_dir.name)
        check_publishable(run, given.repo_id)
        if given.predict_test:
            print("Predicting test")
            predict_test(run)
        elif read_test(run) is None:
            print("The card will have no score on test. --predict-test predicts it first.")
        if given.card_only is not None:
            write_model_folder(run, given.repo_id, given.card_only.expanduser())
            print(f"Written to {given.card_only}.")
            return 0
        url = publish_run(
            run,
            given.repo_id,
            token=None,
            is_private=not given.public,
            on_progress=lambda what, num_done, num_total: print(f"[{num_done}/{num_total}] {what}"),
        )
    except MrpcError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Published at {url}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
