"""Running a log again changes no row and adds no record, with saved state or without."""

import shutil

from tests.harness import Deployment, assert_same


def test_running_on_from_the_end_changes_nothing(reference: Deployment) -> None:
    versions, output = reference.row_versions(), reference.output()
    reference.run()
    assert_same(reference.row_versions(), versions)
    assert_same(reference.output(), output)


def test_running_from_the_start_without_saved_state_changes_nothing(reference: Deployment) -> None:
    versions, output = reference.row_versions(), reference.output()
    assert len(versions["bars_ohlcv"]) > 5_000
    assert len(output["signals"]) > 1_000
    shutil.rmtree(reference.home / "recovery")
    reference.run("bus.kafka.consumer_group=another", "micro_batch.max_batch_size=12345")
    assert_same(reference.row_versions(), versions)
    assert_same(reference.output(), output)
