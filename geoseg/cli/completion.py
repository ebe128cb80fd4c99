"""``geoseg completion``: the line that a shell needs to complete geoseg's flags."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from geoseg.errors import OptionError

__all__ = ["completion_command"]


@click.command(
    epilog="\b\nExamples:\n  geoseg completion bash >> ~/.bashrc\n"
    "  geoseg completion zsh >> ~/.zshrc\n"
    "  geoseg completion fish > ~/.config/fish/completions/geoseg.fish"
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    """Print the script that makes SHELL complete geoseg's commands and flags."""
    from geoseg.cli.main import cli  # noqa: PLC0415 - circular at import time

    found = get_completion_class(shell)
    if found is None:  # pragma: no cover - click knows the three shells
        msg = f"no completion for {shell}"
        raise OptionError(msg)
    click.echo(found(cli, {}, "geoseg", "_GEOSEG_COMPLETE").source())
