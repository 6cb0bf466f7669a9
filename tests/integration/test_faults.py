"""The short form of the fault harness; ``make faults`` runs the long one."""

from pathlib import Path

from tests.integration.faults import kill_again_and_again


def test_kills_at_random_moments_lose_nothing(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    tally = kill_again_and_again(
        tmp_path, tiny_data_dir, tiny_checkpoint_dir, num_kills=4, seed=3, kills_a_run=2
    )
    assert tally.kills == 4
    assert tally.unreadable_runs == 0
    assert tally.clock_steps > 0
    assert tally.taken_for_dead == 0
    assert tally.taken_for_living == 0
    assert tally.doubled_trainings == 0
    assert tally.lost_checkpoints == 0
    assert tally.different_weights == 0
    assert tally.different_losses == 0
    assert tally.most_steps_repeated <= max(tally.most_steps_between_checkpoints, 8)
