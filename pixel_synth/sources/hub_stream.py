"""Rows of sets that are too big to fetch: read over the network in ranges, only as far as they are consumed."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from pixel_synth.errors import SourceError
from pixel_synth.sources.hub_client import check_name, client, endpoint_of, offline, trying
from pixel_synth.sources.pins import check_path, matching, read_pins

BLOCK = 2**20  # bytes that one request brings
LONGEST_LINE = 8 * 2**20
ENDINGS = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".csv", ".csv.gz", ".parquet")


def stream(
    repo: str,
    revision: str,
    pattern: str,
    *,
    cache: Path | None = None,
    mirror: Path | None = None,
    endpoint: str = "",
    block: int = BLOCK,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a set's JSONL, CSV or Parquet files, file by file in the order of their names.

    Only what is consumed is read, in ranges of ``block`` bytes (of Parquet a row group at a time).  Nothing is kept on the disk and
    no hash can be checked, so name a commit; with ``cache`` an empty ``revision`` means the commit pinned there.

    Args:
        repo: OWNER/NAME.
        revision: Branch, tag or commit; empty = the pinned one, else ``main``.
        pattern: Which files, such as ``data/train-*.parquet``.
        cache: Folder with ``pins.json``.
        mirror: Folder with ``OWNER/NAME/…`` to read in place of the Hub.
        endpoint: Address of the Hub; default ``HF_ENDPOINT``, else https://huggingface.co.
        block: Bytes of one request.

    Raises:
        SourceError: As `fetch`; also for a line that is no JSON object, with its file and number.
    """
    if mirror is not None:
        yield from _local(check_name(repo), pattern, mirror)
        return
    if offline():
        raise SourceError(f"{repo} cannot be streamed while HF_HUB_OFFLINE is set", hint="unset it, or fetch the set first")
    pin = read_pins(cache).get(repo) if cache and not revision else None
    api = client(endpoint_of(endpoint))
    asked = revision or (pin.commit if pin else "main")
    info = trying(lambda: api.dataset_info(check_name(repo), revision=asked), repo, api, asked)
    names = matching([check_path(repo, s.rfilename) for s in info.siblings or ()], (pattern,))
    _check(names, pattern, repo)
    from huggingface_hub import HfFileSystem

    files = HfFileSystem(endpoint=api.endpoint, use_listings_cache=False, skip_instance_cache=True)
    for name in names:
        place = f"datasets/{info.id}@{info.sha}/{name}"

        def opened(place: str = place) -> IO[bytes]:
            file: IO[bytes] = files.open(place, "rb", block_size=block, cache_type="readahead")
            return file

        rows = _rows(trying(opened, repo, api, asked), name, f"{repo}/{name}")
        while (row := trying(lambda rows=rows: next(rows, None), repo, api, asked, tries=1)) is not None:  # type: ignore[misc]
            yield row


def _local(repo: str, pattern: str, mirror: Path) -> Iterator[dict[str, Any]]:
    folder = mirror / repo
    root = folder.resolve()
    inside = [p for p in folder.rglob("*") if p.is_file() and p.resolve().is_relative_to(root)]
    names = matching([p.relative_to(folder).as_posix() for p in inside], (pattern,))
    _check(names, pattern, str(folder))
    for name in names:
        yield from _rows((folder / name).open("rb"), name, str(folder / name))


def _check(names: list[str], pattern: str, where: str) -> None:
    if not names:
        raise SourceError(f"{where} has no file like {pattern}")
    odd = [n for n in names if not n.endswith(ENDINGS)]
    if odd:
        raise SourceError(f"{where}: {odd[0]} cannot be streamed", hint=f"these can: {', '.join(ENDINGS)}; fetch the others")


def _rows(file: IO[bytes], name: str, told: str) -> Iterator[dict[str, Any]]:
    import zstandard

    try:
        yield from _unpacked(file, name, told)
    except (ValueError, EOFError, csv.Error, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        raise SourceError(f"{told} is damaged, or not what its name says: {error}", hint="fetch the set and ingest its files") from error


def _unpacked(file: IO[bytes], name: str, told: str) -> Iterator[dict[str, Any]]:
    with ExitStack() as stack:
        stack.callback(file.close)
        if name.endswith(".parquet"):
            import pyarrow.parquet as pq

            for batch in pq.ParquetFile(file).iter_batches(256):
                yield from batch.to_pylist()
            return
        plain = _plain(file, name)
        stack.callback(plain.close)
        yield from _of_csv(plain) if ".csv" in name else _of_jsonl(plain, told)


def _plain(file: IO[bytes], name: str) -> IO[bytes]:
    """Return the file unpacked as it is read."""
    if name.endswith(".gz"):
        return io.BufferedReader(gzip.GzipFile(fileobj=file))
    if name.endswith(".zst"):
        import zstandard

        return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file))
    return io.BufferedReader(file, 2**17)  # type: ignore[type-var]  # the Hub's file has no readline of a limited length


def _of_csv(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    yield from csv.DictReader(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""))


def _of_jsonl(file: IO[bytes], told: str) -> Iterator[dict[str, Any]]:
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise SourceError(f"{told}:{number}: line is longer than {LONGEST_LINE >> 20} MiB", hint="fetch the set and ingest its files")
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise SourceError(f"{told}:{number}: no JSON object", hint="fetch the set and ingest its files, which goes on past bad lines")
        yield row
