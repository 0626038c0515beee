"""`nmt push MODEL hf://owner/name`: upload a model for other people or machines."""

import argparse
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from nmt.cli.arguments import run_of
from nmt.cli.flags import add_flags, option, positional
from nmt.errors import StoppedError, UsageError


@dataclass
class _Flags:
    model: str = positional("MODEL")
    """run folder or bundle folder"""
    address: str = positional("hf://OWNER/NAME")
    """repository to upload to"""
    public: bool = False
    """make the repository public (default: private)"""
    license: str | None = option(metavar="ID")
    """the hub's identifier of a license, such as mit; required by --public"""
    yes: bool = False
    """upload without confirmation"""


def run(parser: argparse.ArgumentParser, words: list[str]) -> int:
    """Parse the words after the verb, show what would be uploaded, ask, and upload it."""
    add_flags(parser, words, _Flags)
    arguments = parser.parse_args(words)
    if arguments.public and arguments.license is None:
        raise UsageError("--public: nobody may use a model without a license; give --license ID")

    from nmt.bundle import FILES, copy_bundle, find_bundle, load_bundle
    from nmt.model_hub import Repository
    from nmt.report.runs import read_scores

    bundle = find_bundle(arguments.model)
    run = run_of(arguments.model, bundle)
    published = {
        "address": arguments.address,
        "license": arguments.license,
        "scores": {
            split: {name: asdict(one) for name, one in scores.by_metric().items()}
            for split, scores in (read_scores(run) if run else {}).items()
        },
    }
    with tempfile.TemporaryDirectory(prefix="nmt-push-") as name:
        folder = Path(name)
        copy_bundle(bundle, folder, {"published": published})
        load_bundle(folder)  # upload only a complete bundle that loads
        repository = Repository(arguments.address)
        _agree(arguments, repository.private, sorted(folder.iterdir()))
        commit = repository.upload(folder, public=arguments.public, stale=FILES)
    print(f"{arguments.address}@{commit}")
    return 0


def _agree(arguments: argparse.Namespace, private: bool | None, files: list[Path]) -> None:
    """Show what would be uploaded, and ask.

    Raises:
        UsageError: there is no terminal to ask at, or the repository's visibility differs from
            the call's.
        StoppedError: the user declined.
    """
    address = arguments.address
    if private is False and not arguments.public:
        raise UsageError(f"{address} is there, and public; give --public, or another name")
    if private and arguments.public:
        raise UsageError(f"--public: {address} is there, and private; make it public on its page")
    sizes = [file.stat().st_size for file in files]
    for file, size in zip(files, sizes, strict=True):
        print(f"{size:>15,} bytes  {file.name}", file=sys.stderr)
    state = "a new repository" if private is None else "in place of the model there"
    who = "public" if arguments.public else "private"
    print(f"{sum(sizes):>15,} bytes  to {address}, {who}, {state}", file=sys.stderr)
    if arguments.yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("--yes is needed where nobody can be asked; nothing was uploaded")
    print("upload? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise StoppedError(f"{address}: nothing was uploaded")
