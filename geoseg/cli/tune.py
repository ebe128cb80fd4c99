"""``geoseg tune``: the fastest setting of a model on this machine."""

from __future__ import annotations

from dataclasses import asdict

import click

from geoseg.cli.options import (
    configure_logging,
    device_option,
    echo_json,
    errors_as_events,
    json_option,
    model_option,
    verbosity_options,
)

__all__ = ["tune_command"]

_EPILOG = """
\b
Examples:
  geoseg tune                        measure the bundled model here, and keep the result
  geoseg tune --model my_model -v    every setting that was tried, with its speed
  geoseg tune --forget               go back to the automatic setting
"""


@click.command(epilog=_EPILOG)
@model_option
@device_option
@click.option("--forget", is_flag=True, help="Remove what was measured instead.")
@json_option
@verbosity_options
def tune_command(
    *, model: str, device: str, forget: bool, as_json: bool, verbose: int, quiet: bool
) -> None:
    """Measure backends, windows, batches and workers for a model, and keep the fastest.

    Takes some ten seconds; close other programs first. `geoseg run` uses what was found
    unless flags say otherwise. Maps then differ from those of other settings as precisions and
    window borders do: on less than one pixel in a thousand.
    """
    configure_logging(verbose=verbose, quiet=quiet)
    with errors_as_events(as_json=as_json):
        from geoseg.model.device import choose_device  # noqa: PLC0415 - not for --help
        from geoseg.model.registry import find_model  # noqa: PLC0415
        from geoseg.run.tuning import (  # noqa: PLC0415
            automatic_setting,
            forget_setting,
            setting_place,
            tune,
        )

        folder, card = find_model(model)
        chosen = choose_device(device, "auto", card, folder)
        if forget:
            there = forget_setting(card, chosen.name)
            text = "forgotten" if there else "nothing was measured"
            if as_json:
                echo_json({"event": "setting", "setting": None})
            elif not quiet:
                click.echo(f"{card.name} on {chosen.name}: {text}")
            return
        found = tune(card, folder, automatic_setting(card, chosen), chosen.name)
    if as_json:
        echo_json({"event": "setting", "setting": asdict(found)})
    elif not quiet:
        click.echo(f"{card.name} on {chosen.name}: {found.text}")
        click.echo(f"kept in {setting_place(card, chosen.name)}")
