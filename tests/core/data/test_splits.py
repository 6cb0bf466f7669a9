"""Which file is which split, what is drawn where one is missing, and what is kept of a data set."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, DatasetDict
from hypothesis import given, settings
from hypothesis import strategies as st

from mrpc.core.data.load import load_data, preview, store_dataset
from mrpc.core.data.report import read_report
from mrpc.core.data.splits import SPLIT_NAMES, draw_validation, find_split_files, pair_keys
from mrpc.errors import DataError
from mrpc.runs.layout import DataRef
from tests.tiny import tiny_rows, write_jsonl

NAMES = {
    split: [name for name, found in SPLIT_NAMES.items() if found == split] for split in SPLIT_NAMES.values()
}


@given(
    names=st.tuples(*(st.sampled_from(NAMES[split]) for split in ("train", "validation", "test"))),
    pattern=st.sampled_from(
        ["{}.csv", "{}.CSV", "{}.tsv.gz", "{}-00000-of-00001.parquet", "my_{}.jsonl", "q-{}.json"]
    ),
    capital=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_splits_by_their_usual_names(
    tmp_path_factory: pytest.TempPathFactory, names: tuple[str, str, str], pattern: str, capital: bool
) -> None:
    folder = tmp_path_factory.mktemp("data")
    written = [folder / pattern.format(name.title() if capital else name) for name in names]
    for path in [*written, folder / "README.md", folder / ".hidden.csv", folder / "dataset_info.json"]:
        path.write_text("{}")
    found = find_split_files(folder)
    assert found.files == {
        split: [path] for split, path in zip(("train", "validation", "test"), written, strict=True)
    }
    assert found.not_read == []


def test_exact_names_come_before_similar_ones(tmp_path):
    for name in ("train.tsv", "dev.tsv", "test.tsv", "dev_ids.tsv", "msr_paraphrase_train.txt", "notes.csv"):
        (tmp_path / name).touch()
    found = find_split_files(tmp_path)
    assert {split: path.name for split, (path,) in found.files.items()} == {
        "train": "train.tsv",
        "validation": "dev.tsv",
        "test": "test.tsv",
    }
    assert sorted(found.not_read) == ["dev_ids.tsv", "msr_paraphrase_train.txt", "notes.csv"]


def test_parts_of_a_split_belong_together(tmp_path):
    rows = tiny_rows(9)
    for part in range(3):
        table = pa.Table.from_pylist(rows[3 * part : 3 * part + 3])
        pq.write_table(table, tmp_path / f"train-{part:05d}-of-00003.parquet")
    write_jsonl(tmp_path / "dev.jsonl", tiny_rows(4, 20))
    assert load_data("folder", tmp_path).dataset["train"].to_list() == rows
    (tmp_path / "train-00001-of-00003.parquet").unlink()
    with pytest.raises(DataError, match="2 of 3 parts of the train split: part 00001 is missing"):
        load_data("folder", tmp_path)


def test_what_save_to_disk_wrote(tmp_path):
    rows = [{**row, "label": row["label"]} for row in tiny_rows(12)]
    splits = {"train": rows[:6], "validation": rows[6:9], "test": rows[9:]}
    DatasetDict({name: Dataset.from_list(part) for name, part in splits.items()}).save_to_disk(
        tmp_path / "ds"
    )
    data = load_data("folder", tmp_path)  # the folder around it
    assert {name: part.to_list() for name, part in data.dataset.items()} == splits
    assert load_data("folder", tmp_path / "ds").fingerprint == data.fingerprint
    Dataset.from_list(rows).save_to_disk(tmp_path / "one")
    one = load_data("folder", tmp_path / "one").dataset
    assert sorted(row["idx"] for part in one.values() for row in part) == list(range(12))
    write_jsonl(tmp_path / "train.jsonl", rows)
    assert load_data("folder", tmp_path).dataset["train"].num_rows < 12  # what stands in the folder itself
    (tmp_path / "train.jsonl").unlink()
    with pytest.raises(DataError, match=r"holds several data sets: 'ds', 'one'"):
        load_data("folder", tmp_path)


def test_a_folder_with_one_file_of_any_name_and_a_file_alone(tmp_path):
    write_jsonl(tmp_path / "questions.jsonl", tiny_rows(20))
    folder, file = load_data("folder", tmp_path), load_data("folder", tmp_path / "questions.jsonl")
    assert folder.fingerprint == file.fingerprint
    assert (folder.name, file.name) == (tmp_path.name, "questions.jsonl")
    assert file.reason == "The file questions.jsonl."
    with pytest.raises(DataError, match=r"questions\.jsonl has no test split; it has train, validation\."):
        file.split("test")


# The validation split that is drawn


@given(
    pairs=st.lists(
        st.tuples(st.text(max_size=3), st.text(max_size=3), st.integers(0, 1)), min_size=4, max_size=80
    ),
    seed=st.integers(0, 9),
)
@settings(max_examples=100, deadline=None)
def test_what_is_drawn_never_leaks_and_never_changes(pairs: list[tuple[str, str, int]], seed: int) -> None:
    pairs = [*pairs, ("one", "pair", 0), ("another", "one", 1), *((b, a, label) for a, b, label in pairs[:2])]

    def drawn(some: list[tuple[str, str, int]]) -> set[frozenset[str]]:
        first, second, labels = zip(*some, strict=True)
        chosen = draw_validation(pair_keys(pa.array(first), pa.array(second)), np.array(labels))
        kept = {frozenset(pair[:2]) for pair, is_chosen in zip(some, chosen, strict=True) if not is_chosen}
        taken = {frozenset(pair[:2]) for pair, is_chosen in zip(some, chosen, strict=True) if is_chosen}
        assert kept
        assert taken
        assert not kept & taken
        return taken

    labels = {frozenset(pair[:2]): pair[2] for pair in reversed(pairs)}  # as the first row has it
    shuffled = [(a, b, labels[frozenset((a, b))]) for a, b, _ in pairs]
    expected = drawn(shuffled)
    random.Random(seed).shuffle(shuffled)
    assert drawn(shuffled) == expected


def test_a_drawn_validation_is_a_tenth_of_each_class_and_is_said(tmp_path):
    rows = [{**row, "label": int(row["idx"] % 4 == 0)} for row in tiny_rows(200)]
    write_jsonl(tmp_path / "train.jsonl", rows)
    data = load_data("folder", tmp_path)
    assert data.report.splits["validation"].num_labels == (15, 5)
    assert data.report.splits["train"].num_labels == (135, 45)
    assert data.report.leaks == {}
    assert "Drawn from train" in data.report.splits["validation"].origin
    assert sorted([*data.dataset["train"]["idx"], *data.dataset["validation"]["idx"]]) == list(range(200))
    # These very pairs, in every later version: runs refer to them.
    assert data.fingerprint == "4e931959e2fb7bc6"


def test_one_pair_cannot_be_split(tmp_path):
    write_jsonl(tmp_path / "train.jsonl", tiny_rows(1))
    with pytest.raises(DataError, match="has not two different pairs to draw one from"):
        load_data("folder", tmp_path)


# Splits without labels


@pytest.mark.parametrize("label", [None, -1, "-1", "-", ""])
def test_a_test_split_without_labels(tmp_path, label):
    for split, start in (("train", 0), ("dev", 8)):
        write_jsonl(tmp_path / f"{split}.jsonl", tiny_rows(8, start))
    rows = [{**row, "label": label} for row in tiny_rows(4, 16)]
    write_jsonl(tmp_path / "test.jsonl", rows)
    data = load_data("folder", tmp_path)
    assert data.dataset["test"]["label"][:] == [-1] * 4
    assert (data.has_labels("test"), data.has_labels("validation")) == (False, True)
    assert "test has no labels: its pairs can be predicted, not scored." in data.report.warnings()
    rows[2]["label"] = 1
    write_jsonl(tmp_path / "test.jsonl", rows)
    with pytest.raises(DataError, match=r"test\.jsonl, line 1: label is .*give it in all or in none"):
        load_data("folder", tmp_path)


def test_validation_and_train_need_labels(tmp_path):
    rows = [{key: row[key] for key in ("sentence1", "sentence2")} for row in tiny_rows(8)]
    write_jsonl(tmp_path / "train.jsonl", tiny_rows(8, 20))
    write_jsonl(tmp_path / "val.jsonl", rows)
    with pytest.raises(DataError, match=r"val\.jsonl has no labels.*leave it out: validation is then drawn"):
        load_data("folder", tmp_path)
    write_jsonl(tmp_path / "train.jsonl", rows)
    with pytest.raises(
        DataError, match=r"train\.jsonl: the column label is missing.*Found the columns 'sentence1'"
    ):
        load_data("folder", tmp_path)


# What a person should look at


def test_repeated_conflicting_and_leaking_pairs_are_counted(tmp_path):
    rows = tiny_rows(12)
    again = [{**rows[0], "idx": 50}, {**rows[1], "idx": 51, "label": 1 - rows[1]["label"]}]
    mirrored = {**rows[2], "sentence1": rows[2]["sentence2"], "sentence2": rows[2]["sentence1"]}
    write_jsonl(tmp_path / "train.jsonl", [*rows[:6], *again])
    write_jsonl(tmp_path / "validation.jsonl", [*rows[6:], {**mirrored, "idx": 60}])
    report = load_data("folder", tmp_path).report
    train = report.splits["train"]
    assert (train.num_repeated, train.num_conflicting) == (2, 1)
    assert report.leaks == {"train and validation": 1}
    said = "\n".join(report.warnings())
    assert "train holds 2 rows whose pair stands in it already." in said
    assert "train holds conflicting labels: 1 pair stands there with both." in said
    assert "1 pair stands in train and validation" in said


def test_one_class_alone_is_said(tmp_path):
    write_jsonl(tmp_path / "train.jsonl", [{**row, "label": 1} for row in tiny_rows(20)])
    assert "All pairs of train are equivalent" in load_data("folder", tmp_path).report.warnings()[0]


# A data set that is kept


def test_a_stored_data_set_is_the_same_data_with_the_same_report(tmp_path):
    lines = [f"Where is road {at}?;Where does road {at} go?;{('no', 'yes')[at % 2]}" for at in range(40)]
    source = tmp_path / "questions.csv"
    source.write_bytes(
        "\r\n".join(["question1;question2;is_duplicate", *lines, "Où?;Was für?;no"]).encode("cp1252")
    )
    direct = load_data("folder", source)
    stored = store_dataset(source, tmp_path / "runs" / ".data")
    source.unlink()
    assert stored.data_dir.parent == tmp_path / "runs" / ".data"
    assert stored.data_dir.name.startswith(f"{stored.fingerprint}-")  # its classes have names of their own
    assert stored.fingerprint == direct.fingerprint
    assert (stored.name, stored.label_names) == ("questions.csv", ("no", "yes"))
    assert stored.report.sentences() == direct.report.sentences()
    again = load_data("folder", stored.data_dir)
    assert {split: part.to_list() for split, part in again.dataset.items()} == {
        split: part.to_list() for split, part in direct.dataset.items()
    }
    assert again.dataset["train"].features["label"].names == ["no", "yes"]
    assert preview(again.dataset, 2)[-1]["label"] in ("no", "yes")
    ref = DataRef.model_validate(again)
    assert (ref.name, ref.label_names, ref.columns) == ("questions.csv", ("no", "yes"), None)
    assert DataRef.model_validate_json(ref.model_dump_json()) == ref


def test_a_report_of_other_rows_is_not_believed(tmp_path):
    stored = store_dataset(Path(__file__).parents[3] / "assets" / "sample_pairs", tmp_path)
    path = stored.data_dir / "report.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "name": "other", "fingerprint": "0" * 16}))
    assert load_data("folder", stored.data_dir).name == stored.fingerprint
    path.write_text("[" * 100_000)
    assert read_report(path) is None
    assert load_data("folder", stored.data_dir).fingerprint == stored.fingerprint


def test_a_data_ref_of_041_opens():
    ref = DataRef.model_validate(
        {"kind": "folder", "data_dir": "/data", "fingerprint": "0" * 16, "reason": "x"}
    )
    assert (ref.columns, ref.name, ref.label_names) == (None, "MRPC", ("not_equivalent", "equivalent"))
