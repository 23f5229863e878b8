"""Trees that killed the worker are remembered."""

from pathlib import Path

from compiler.reconcile.quarantine import Quarantine


def test_a_tree_is_tried_twice_and_then_no_more(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "quarantine.json", "1")
    quarantine.blame("t1", "c1", "stalled")
    assert quarantine.trees == {}
    quarantine.blame("t1", "c2", "crashed")
    assert list(quarantine.trees) == ["t1"]
    assert "2 times" in quarantine.trees["t1"]
    assert "crashed" in quarantine.trees["t1"]


def test_a_restart_remembers_and_another_version_of_ours_forgets(tmp_path: Path) -> None:
    for _ in range(2):
        Quarantine(tmp_path / "quarantine.json", "1").blame("t1", "c1", "stalled")
    assert "t1" in Quarantine(tmp_path / "quarantine.json", "1").trees
    assert Quarantine(tmp_path / "quarantine.json", "2").trees == {}


def test_a_file_that_cannot_be_written_or_read_costs_only_the_memory(tmp_path: Path) -> None:
    (tmp_path / "torn.json").write_text('{"version": "1", "trees": {"t"')
    quarantine = Quarantine(tmp_path / "torn.json", "1")
    assert quarantine.trees == {}
    nowhere = Quarantine(tmp_path / "missing" / "quarantine.json", "1")
    nowhere.blame("t1", "c1", "stalled")
    nowhere.blame("t1", "c1", "stalled")
    assert "t1" in nowhere.trees


def test_forgiving_lets_every_tree_be_tried_again(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "quarantine.json", "1")
    for _ in range(2):
        quarantine.blame("t1", "c1", "memory")
    quarantine.forgive()
    assert quarantine.trees == {}
    assert Quarantine(tmp_path / "quarantine.json", "1").trees == {}
