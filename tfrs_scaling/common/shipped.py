"""Configurations and schemas that come with the package, found by name."""

from pathlib import Path

from tfrs_scaling.common.errors import InputError

FOLDER = Path(__file__).parents[1] / "tuner_configs"  # a relative symlink to the folder at the top level


def find_shipped(path: Path, pattern: str) -> Path:
    """The file itself; of a mere name that is no file, such as ``smoke``, the file that comes with the package.

    Args:
        path: a file, or a name without a folder and a suffix.
        pattern: of the package's files, below ``FOLDER``.

    Raises:
        InputError: it is a name, and neither a file nor one of the package's; lists those.
    """
    if path.exists() or path.suffix or path.parent != Path():
        return path
    files = {file.stem: file for file in sorted(FOLDER.glob(pattern))}
    if path.name not in files:
        raise InputError(f"{path}: there is no such file; with the package come {', '.join(files)}")
    return files[path.name]
