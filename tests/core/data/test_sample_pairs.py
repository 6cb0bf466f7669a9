"""The bundled sample pairs: well formed, balanced, and not solved by counting words."""

import json
import re
from collections import Counter
from difflib import SequenceMatcher
from functools import cache
from itertools import combinations
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "assets" / "sample_pairs"
AT_LEAST = {"train": 160, "validation": 40, "test": 40}
SPLITS = tuple(AT_LEAST)
FIELDS = {"sentence1": str, "sentence2": str, "label": int, "idx": int, "phenomenon": str}
EQUIVALENT = {"paraphrase", "passive", "reordering", "clause_move", "synonym", "minor_detail"}
NOT_EQUIVALENT = {"number", "name", "role", "negation", "time", "quantity", "cause", "major_fact"}
WORD = re.compile(r"[a-z0-9]+(?:[.,:'-][a-z0-9]+)*")


@cache
def rows(split):
    return [json.loads(line) for line in (FOLDER / f"{split}.jsonl").read_text("utf-8").splitlines()]


def all_rows():
    return [row for split in SPLITS for row in rows(split)]


def pair(row):
    return row["sentence1"], row["sentence2"]


@cache
def words(sentence):
    return tuple(WORD.findall(sentence.lower()))


def jaccard(first, second):
    a, b = set(words(first)), set(words(second))
    return len(a & b) / len(a | b)


def shared_order(first, second):
    """Share of words that stay in place, so that it sees what a set of words cannot."""
    return SequenceMatcher(None, words(first), words(second), autojunk=False).ratio()


def length_difference(first, second):
    return abs(len(words(first)) - len(words(second)))


def unshared_figures(first, second):
    return sum(word[0].isdigit() for word in set(words(first)) ^ set(words(second)))


def scored(measure, chosen):
    return [(measure(*pair(row)), row["label"]) for row in chosen]


def threshold_accuracy(scores, threshold, above):
    return sum((score >= threshold) == (label == above) for score, label in scores) / len(scores)


def best_threshold(scores):
    """The cut, and the label that lies above it, that answer the most of these pairs."""
    cuts = [*sorted({score for score, _ in scores}), float("inf")]
    return max(
        ((cut, above) for cut in cuts for above in (1, 0)),
        key=lambda rule: threshold_accuracy(scores, *rule),
    )


def area_under_curve(scores):
    """How often an equivalent pair scores higher than one that is not; one half says nothing."""
    positive = [score for score, label in scores if label]
    negative = [score for score, label in scores if not label]
    wins = sum((p > n) + 0.5 * (p == n) for p in positive for n in negative)
    return wins / (len(positive) * len(negative))


@pytest.mark.parametrize("split", SPLITS)
def test_rows_have_the_documented_fields(split):
    text = (FOLDER / f"{split}.jsonl").read_text("utf-8")
    assert text.endswith("\n")
    for row in rows(split):
        assert {name: type(value) for name, value in row.items()} == FIELDS
        assert row["label"] in (0, 1)
        for sentence in pair(row):
            assert sentence == " ".join(sentence.split())
            assert sentence.rstrip('"').endswith((".", "!", "?"))


@pytest.mark.parametrize("split", SPLITS)
def test_split_is_large_enough_and_balanced(split):
    labels = [row["label"] for row in rows(split)]
    assert len(labels) >= AT_LEAST[split]
    assert 0.55 <= sum(labels) / len(labels) <= 0.65


def test_idx_runs_over_the_splits():
    assert [row["idx"] for row in all_rows()] == list(range(len(all_rows())))


@pytest.mark.parametrize("split", SPLITS)
def test_every_phenomenon_is_in_every_split_with_its_own_label(split):
    seen = {(row["phenomenon"], row["label"]) for row in rows(split)}
    assert seen == {(tag, 1) for tag in EQUIVALENT} | {(tag, 0) for tag in NOT_EQUIVALENT}


@pytest.mark.parametrize("split", SPLITS)
def test_labels_are_mixed_through_the_file(split):
    labels = [row["label"] for row in rows(split)]
    windows = [labels[start : start + 8] for start in range(len(labels) - 7)]
    assert all(len(set(window)) == 2 for window in windows)


def test_sentences_are_10_to_40_words():
    lengths = [len(sentence.split()) for row in all_rows() for sentence in pair(row)]
    assert min(lengths) >= 10
    assert max(lengths) <= 40
    assert max(lengths) - min(lengths) >= 20


def test_no_sentence_stands_twice():
    """This rules out a repeated or swapped pair and a sentence in two splits as well."""
    seen = Counter(words(sentence) for row in all_rows() for sentence in pair(row))
    assert [sentence for sentence, count in seen.items() if count > 1] == []


def test_no_two_pairs_are_about_the_same_event():
    """Far below 0.7, the bound for a near-duplicate: pairs of two splits must not leak, nor any others."""
    close = [
        (one["idx"], other["idx"])
        for one, other in combinations(all_rows(), 2)
        for first in pair(one)
        for second in pair(other)
        if jaccard(first, second) > 0.4
    ]
    assert close == []


@pytest.mark.parametrize("measure", [jaccard, shared_order, length_difference, unshared_figures])
def test_one_threshold_on_a_shallow_measure_does_not_solve_it(measure):
    rule = best_threshold(scored(measure, rows("train")))
    held_out = scored(measure, rows("validation") + rows("test"))
    assert threshold_accuracy(held_out, *rule) <= 0.70
    # The bound holds even for the threshold that has seen every answer.
    everything = scored(measure, all_rows())
    assert threshold_accuracy(everything, *best_threshold(everything)) <= 0.70


@pytest.mark.parametrize("split", SPLITS)
def test_word_overlap_says_little_about_the_label(split):
    assert 0.35 <= area_under_curve(scored(jaccard, rows(split))) <= 0.65


@pytest.mark.parametrize("label", [0, 1])
def test_each_label_has_pairs_of_low_middle_and_high_overlap(label):
    overlaps = [jaccard(*pair(row)) for row in all_rows() if row["label"] == label]
    bands = Counter(min(int(overlap * 3), 2) for overlap in overlaps)
    assert all(bands[band] >= 0.15 * len(overlaps) for band in range(3))


@pytest.mark.parametrize("where", ["in_either", "in_one_only"])
def test_no_single_word_gives_the_label_away(where):
    found, found_equivalent = Counter(), Counter()
    for row in all_rows():
        first, second = (set(words(sentence)) for sentence in pair(row))
        hits = first | second if where == "in_either" else first ^ second
        found.update(hits)
        if row["label"]:
            found_equivalent.update(hits)

    total, equivalent = len(all_rows()), sum(row["label"] for row in all_rows())

    def accuracy(word):
        right = found_equivalent[word] + (total - equivalent) - (found[word] - found_equivalent[word])
        return max(right, total - right) / total

    tell_tale = {word: accuracy(word) for word in found if accuracy(word) > 0.65}
    assert tell_tale == {}


def test_openings_are_varied():
    openings = Counter(
        opening for row in all_rows() for opening in {words(sentence)[:3] for sentence in pair(row)}
    )
    assert [opening for opening, count in openings.items() if count > 2] == []
    assert sum(count > 1 for count in openings.values()) <= 3


def test_no_frame_is_shared_between_pairs():
    """A template leaves the same run of words in many pairs; here hardly any run of five stands in two."""
    runs = Counter()
    for row in all_rows():
        runs.update(
            {
                words(sentence)[start : start + 5]
                for sentence in pair(row)
                for start in range(len(words(sentence)) - 4)
            }
        )
    assert sum(count > 1 for count in runs.values()) <= 3
    assert max(runs.values()) <= 2


def test_readme_counts_what_is_there():
    text = (FOLDER / "README.md").read_text("utf-8")
    assert "CC0" in text
    counted = {split: Counter(row["phenomenon"] for row in rows(split)) for split in SPLITS}
    for tag in EQUIVALENT | NOT_EQUIVALENT:
        counts = [counted[split][tag] for split in SPLITS]
        (line,) = (line for line in text.splitlines() if line.startswith(f"| `{tag}` |"))
        assert line.endswith("| " + " | ".join(map(str, [*counts, sum(counts)])) + " |")
    for split in SPLITS:
        positives = sum(row["label"] for row in rows(split))
        assert f"| {split} | {len(rows(split))} | {positives} | {len(rows(split)) - positives} |" in text
