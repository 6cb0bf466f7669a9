"""How the bytes of a text file become characters: UTF-8, UTF-16 or Windows-1252. No rows here."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from mrpc.core.data.report import count
from mrpc.errors import DataError

ENCODING_NAMES = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8 with BOM",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "utf-32": "UTF-32",
    "cp1252": "Windows-1252",
}

_BLOCK_BYTES = 1 << 20
_SPACE = 32
_HIGH_CONTROL = re.compile(rb"\xc2[\x80-\x9f]")
_LOST = "\ufffd".encode()
_MISREAD = re.compile("â€|Ã(?:\xa9|¨|¼|¶|¤)".encode())
_BOMS = (
    *((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32")),
    *((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")),
)
_UTF8_LETTER = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}|([\x80-\xff])", re.DOTALL
)

_HIGH_RUN = re.compile(rb"[\x80-\xff]{3,}")
_INSIDE_A_WORD = re.compile(rb"(?<=[a-z])([\x80-\xff])(?=[a-z])")
_BETWEEN_LETTERS = (0x83, 0x85, 0x92, 0x96, 0x97, 0x9A, 0x9C, 0x9E, 0xA0, 0xAD, 0xB4, 0xB7)
_NO_SMALL_LETTERS = frozenset(bytes([code]) for code in range(0x80, 0xDF) if code not in _BETWEEN_LETTERS)
"""Bytes that in Windows-1252 are neither small letters nor signs that join two of them, as apostrophes do."""

OTHER_CODE_PAGE = "not UTF-8, and what stands there is not Windows-1252 either but another code page"

Open = Callable[[], BinaryIO]


@dataclass
class TextFile:
    """What a text file is like, found in one look at all of it.

    Attributes:
        codec: of Python's.
        num_lines: whichever of the three line ends they have.
        has_lone_returns: some line ends in a carriage return alone.
        has_quotes: there is a double quote in it.
        has_escaped_quotes: there is one with a backslash before it.
        has_odd_characters: there are control characters in it, tabs and line ends aside.
        num_lost: characters that were lost before: U+FFFD stands there.
        num_misread: places where UTF-8 was read as Windows-1252 before.
    """

    codec: str
    num_lines: int = 0
    has_lone_returns: bool = False
    has_quotes: bool = False
    has_escaped_quotes: bool = False
    has_odd_characters: bool = False
    num_lost: int = 0
    num_misread: int = 0

    @property
    def damage(self) -> list[str]:
        """What happened to the text before it came here, a sentence each."""
        said = []
        if self.num_lost:
            said.append(f"U+FFFD stands in it {count(self.num_lost, 'time')}: characters were lost before.")
        if self.num_misread:
            said.append(
                f"“â€” or “Ã” stands in it {count(self.num_misread, 'time')}, as where UTF-8 was read as "
                "Windows-1252 once: look at its accents and quotes."
            )
        return said


def look_at_text(shown: str, open_file: Open, max_bytes: int, is_json: bool) -> TextFile:
    """Look at a text file from its first byte to its last.

    Windows-1252 is taken only for CSV, and only where the bytes are not UTF-8 that was damaged in a few
    places, and look like Latin letters with accents.

    Raises:
        DataError: it is too large, or not text; names the line.
    """
    with open_file() as file:
        head = file.read(4096)
    named = next((codec for mark, codec in _BOMS if head.startswith(mark)), None)
    codec = named or _utf16_without_mark(head) or "utf-8"
    try:
        return _read_all(shown, open_file, codec, max_bytes)
    except UnicodeDecodeError:
        is_other = _is_other_code_page(open_file) if codec == "utf-8" and not is_json else None
        if is_other:
            raise _bad_byte(shown, open_file, codec, OTHER_CODE_PAGE) from None
        if is_other is False:
            try:
                return _read_all(shown, open_file, "cp1252", max_bytes)
            except UnicodeDecodeError:
                raise _bad_byte(shown, open_file, "cp1252", "neither UTF-8 nor Windows-1252") from None
    raise _bad_byte(shown, open_file, codec, f"not {ENCODING_NAMES[codec].removesuffix(' with BOM')}")


def read_blocks(open_file: Open) -> Iterator[bytes]:
    """Yield a file in blocks of whole lines, about a megabyte each."""
    with open_file() as file:
        while block := file.read(_BLOCK_BYTES):
            yield block + file.readline()


def _read_all(shown: str, open_file: Open, codec: str, max_bytes: int) -> TextFile:
    """Decode a file to its end and say what it is like."""
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(codec)(), translate=True)
    found = TextFile(codec)
    num_bytes, last = 0, "\n"
    with open_file() as file:
        while True:
            block = file.read(_BLOCK_BYTES)
            num_bytes += len(block)
            if num_bytes > max_bytes:
                raise DataError(
                    f"{shown} has more than {max_bytes:,} bytes when it is unpacked, the most that are taken."
                )
            text = decoder.decode(block, final=not block)
            found.num_lines += text.count("\n")
            last = text[-1:] or last
            # Bytes are looked through faster than characters.
            inside = text.encode() if codec.startswith(("utf-16", "utf-32")) else block
            if b'"' in inside:
                found.has_quotes = True
                found.has_escaped_quotes = found.has_escaped_quotes or b'\\"' in inside
            found.has_odd_characters = found.has_odd_characters or _holds_odd(inside)
            if codec != "cp1252" and not inside.isascii():
                found.num_lost += inside.count(_LOST)
                found.num_misread += len(_MISREAD.findall(inside))
            if not block:
                found.num_lines += last != "\n"
                line_ends = decoder.newlines  # one, or a tuple of those that were seen
                found.has_lone_returns = "\r" in (line_ends if isinstance(line_ends, tuple) else (line_ends,))
                return found


def _holds_odd(text: bytes) -> bool:
    """Tell whether control characters stand in UTF-8, tabs and line ends aside."""
    codes = np.frombuffer(text, np.uint8)
    return (
        not set(codes[codes < _SPACE].tobytes()) <= set(b"\t\n\r")
        or b"\x7f" in text
        or (not text.isascii() and _HIGH_CONTROL.search(text) is not None)
    )


def _utf16_without_mark(head: bytes) -> str | None:
    """Recognise UTF-16 by the zero in every other byte, which Latin letters have there."""
    half = len(head) // 2
    if half and head[1::2].count(0) > 0.4 * half and head[::2].count(0) < 0.1 * half:
        return "utf-16-le"
    if half and head[::2].count(0) > 0.4 * half and head[1::2].count(0) < 0.1 * half:
        return "utf-16-be"
    return None


def _is_other_code_page(open_file: Open) -> bool | None:
    """Tell whether bytes above 127 are those of another code page than Windows-1252; None for bad UTF-8.

    They are UTF-8 where its letters outnumber single bytes. Letters with accents stand alone among others,
    those of Cyrillic, Greek or Chinese beside each other; and a Mac's or DOS's accents are signs and capitals
    in the middle of a word when they are read as Windows-1252.
    """
    singles = letters = in_runs = inside = odd_inside = 0
    for block in read_blocks(open_file):
        if block.isascii():
            continue
        for match in _UTF8_LETTER.finditer(block):
            if match[1]:
                singles += 1
            else:
                letters += 1
        in_runs += sum(len(run) for run in _HIGH_RUN.findall(block))
        for letter in _INSIDE_A_WORD.findall(block):
            inside += 1
            odd_inside += letter in _NO_SMALL_LETTERS
    if singles <= letters:
        return None
    return in_runs > 0.5 * singles or odd_inside > 0.3 * inside


def _bad_byte(shown: str, open_file: Open, codec: str, what: str) -> DataError:
    """Return the error that names the first byte that is no text."""
    decoder = codecs.getincrementaldecoder(codec)
    number = 0
    if codec.startswith(("utf-8", "cp1252")):
        with open_file() as file:
            for number, line in enumerate(file, 1):
                try:
                    decoder().decode(line, final=True)
                except UnicodeDecodeError as error:
                    return DataError(
                        f"{shown}, line {number}: byte {error.start + 1}, 0x{line[error.start]:02X}, "
                        f"is {what}. "
                        "Save the file as UTF-8."
                    )
    return DataError(f"{shown} is {what}, though it begins so. Save the file as UTF-8.")
