"""Model folders on the Hugging Face hub: `hf://owner/name[@revision]`."""

import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nmt.errors import BundleError, NmtError, UsageError
from nmt.storage import require_hub_cache

PREFIX = "hf://"


def download(address: str, names: Sequence[str]) -> Path:
    """Fetch a model, or find it in the hub's cache.

    Args:
        address: `hf://owner/name`, with `@` and a branch, tag or commit where one is meant.
        names: of the files to fetch; the first must be there.

    Raises:
        BundleError: the hub has no such model, or is out of reach and the cache has none.
    """
    require_hub_cache()
    huggingface_hub = _quiet_hub()
    from huggingface_hub import errors

    repository, _, revision = address.removeprefix(PREFIX).partition("@")
    try:
        folder = Path(
            huggingface_hub.snapshot_download(
                repository, revision=revision or None, etag_timeout=5, allow_patterns=list(names)
            )
        )
        if (folder / names[0]).exists():
            return folder
        problem = f"is no model of nmt: it holds no {names[0]}"
    except errors.HFValidationError:
        problem = "is no name of the form owner/name"
    except errors.RepositoryNotFoundError:
        problem = "is not on the hub, or is private: check the name, or log in"
    except errors.RevisionNotFoundError:
        problem = "cannot be fetched: there is no such branch, tag or commit"
    except errors.LocalEntryNotFoundError:
        problem = "cannot be fetched: the hub is out of reach, and there is no cached copy"
    except (errors.HfHubHTTPError, OSError) as error:
        problem = f"cannot be fetched: {error}"
    raise BundleError(f"{address} {problem}")


class Repository:
    """A repository on the hub to upload to.

    Args:
        address: `hf://owner/name`.

    Raises:
        UsageError: it is another kind of text.
        NmtError: the hub is out of reach, or knows no token.
    """

    def __init__(self, address: str):
        from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

        self.address, self.name = address, address.removeprefix(PREFIX)
        if not re.fullmatch(rf"{PREFIX}[\w.-]+/[\w.-]+", address, flags=re.ASCII):
            raise UsageError(f"{address} is no address of the form hf://owner/name")
        self._hub = _quiet_hub().HfApi()
        self.private: bool | None = None
        """Who may read it; None where it is not there yet."""
        try:
            self.private = bool(self._hub.model_info(self.name, timeout=10).private)
        except RepositoryNotFoundError:
            pass
        except HFValidationError as error:
            raise UsageError(f"{address}: {error}") from None
        except Exception as error:
            raise self._failed(error) from error

    def upload(self, folder: Path, *, public: bool, stale: Sequence[str]) -> str:
        """Upload a folder as one commit, so that a reader at any moment finds it whole.

        Args:
            folder: what to upload.
            public: anybody may read it, where it is not there yet.
            stale: names of files that are removed, unless the folder has them.

        Returns:
            The commit.

        Raises:
            NmtError: the hub refused.
        """
        from huggingface_hub import ModelCard

        try:
            # Before anything is made on the hub.
            ModelCard.load(folder / "README.md").validate(repo_type="model")
            if self.private is None:
                self._hub.create_repo(self.name, private=not public)
            commit = self._hub.upload_folder(
                repo_id=self.name,
                folder_path=folder,
                commit_message="Upload by nmt push",
                delete_patterns=list(stale),
            )
        except Exception as error:
            raise self._failed(error) from error
        return str(commit.oid)

    def _failed(self, error: Exception) -> NmtError:
        """Say in one line what went wrong, and what to do."""
        response: Any = getattr(error, "response", None)
        if response is None:
            refused = isinstance(error, ValueError)  # of the card's metadata
            told = "the hub refused the model card" if refused else "the hub cannot be reached"
            return NmtError(f"{self.address}: {told}: {error}")
        told = getattr(error, "server_message", None) or str(error)
        if response.status_code in (401, 403):
            told = (
                f"{told}; log in with `hf auth login`, or set HF_TOKEN, by a token that may write"
            )
        return NmtError(f"{self.address}: the hub refused ({response.status_code}): {told}")


def _quiet_hub() -> Any:
    """Return the hub's library; its faults are told by our errors, its bars stay at terminals."""
    import huggingface_hub
    from huggingface_hub.utils.tqdm import disable_progress_bars

    huggingface_hub.logging.set_verbosity(logging.CRITICAL)
    if not sys.stderr.isatty():
        disable_progress_bars()
    return huggingface_hub
