"""The Hugging Face hub's library, and model folders there: `hf://owner/name[@revision]`."""

import logging
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nmt.errors import BundleError, NmtError, UsageError
from nmt.storage import user_cache

PREFIX = "hf://"


def download(address: str, names: Sequence[str]) -> Path:
    """Fetch a model, or find it in the hub's cache.

    Args:
        address: `hf://owner/name`, optionally with `@` and a branch, tag or commit.
        names: files to fetch; the first is required.

    Raises:
        BundleError: the hub has no such model, or cannot be reached and the cache has no copy.
    """
    huggingface_hub = quiet_hub()
    from huggingface_hub import errors

    repository, _, revision = address.removeprefix(PREFIX).partition("@")
    try:
        options = {"revision": revision or None, "etag_timeout": 5, "allow_patterns": list(names)}
        folder = Path(huggingface_hub.snapshot_download(repository, **options))
        if (folder / names[0]).exists():
            return folder
        problem = f"is not a model of nmt: it holds no {names[0]}"
    except errors.HFValidationError:
        problem = "is not a name of the form owner/name"
    except errors.RepositoryNotFoundError:
        problem = "is not on the hub, or is private: check the name, or log in"
    except errors.RevisionNotFoundError:
        problem = "cannot be fetched: there is no such branch, tag or commit"
    except errors.LocalEntryNotFoundError:
        problem = "cannot be fetched: the hub cannot be reached, and the cache has no copy"
    except Exception as error:  # httpx2 and hf_xet, which transfer files, have errors of their own
        problem = f"cannot be fetched: {error}"
    raise BundleError(f"{address} {problem}")


class Repository:
    """A repository on the hub to upload to.

    Args:
        address: `hf://owner/name`.

    Raises:
        UsageError: the address has another form.
        NmtError: the hub cannot be reached, or refuses the token.
    """

    def __init__(self, address: str):
        from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

        self.address, self.name = address, address.removeprefix(PREFIX)
        if not re.fullmatch(rf"{PREFIX}[\w.-]+/[\w.-]+", address, flags=re.ASCII):
            raise UsageError(f"{address} is not an address of the form hf://owner/name")
        self._hub = quiet_hub().HfApi()
        self.private: bool | None = None
        """Whether only its owner can read it; None if it does not exist yet."""
        try:
            self.private = bool(self._hub.model_info(self.name, timeout=10).private)
        except RepositoryNotFoundError:
            pass
        except HFValidationError as error:
            raise UsageError(f"{address}: {error}") from None
        except Exception as error:
            raise self._failed(error) from error

    def upload(self, folder: Path, *, public: bool, stale: Sequence[str]) -> str:
        """Upload a folder in one commit, so that a reader always finds a complete model.

        Args:
            folder: the model.
            public: whether anybody can read a repository that does not exist yet.
            stale: files to delete from the repository, unless the folder has them.

        Returns:
            The commit.

        Raises:
            NmtError: the hub refused.
        """
        from huggingface_hub import ModelCard

        try:
            # Refuse an invalid card before the hub creates anything.
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
        """Return the error in one line, with its remedy."""
        response: Any = getattr(error, "response", None)
        if response is None:
            refused = isinstance(error, ValueError)  # of the card's metadata
            fault = "the hub refused the model card" if refused else "the hub cannot be reached"
            return NmtError(f"{self.address}: {fault}: {error}")
        answer = getattr(error, "server_message", None) or str(error)
        if response.status_code in (401, 403):
            answer += "; log in with `hf auth login`, or set HF_TOKEN, to a token that can write"
        return NmtError(f"{self.address}: the hub refused ({response.status_code}): {answer}")


def quiet_hub() -> Any:
    """Return the hub's library without its log, and with progress bars only at a terminal.

    Raises:
        DataError: the user has neither a home nor a cache folder; the library would make one named
            `~`.
    """
    if not os.environ.get("HF_HOME"):
        user_cache()
    import huggingface_hub
    from huggingface_hub.utils.tqdm import disable_progress_bars

    huggingface_hub.logging.set_verbosity(logging.CRITICAL)
    if not sys.stderr.isatty():
        disable_progress_bars()
    return huggingface_hub
