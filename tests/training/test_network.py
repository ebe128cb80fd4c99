"""Networks that start from another model: what is taken over, and what starts anew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from geoseg.legend import Legend, found_legend  # noqa: E402
from geoseg.model.card import NetworkSpec  # noqa: E402
from geoseg.model.network import build_network  # noqa: E402
from geoseg.model.registry import find_model  # noqa: E402
from geoseg.training import network as room  # noqa: E402
from geoseg.training.network import fresh_network  # noqa: E402


def legend_of(*names: str) -> Legend:
    found = dict(enumerate(names))
    return replace(found_legend(found, names=found, colours={}), wide=False)


@pytest.mark.parametrize(
    ("architecture", "heads"),
    [("unet", ["segmentation_head.0"]), ("fcn", ["heads.0", "heads.1", "heads.2"])],
)
@pytest.mark.parametrize("names", [("a", "b", "c"), ("C", "new", "a"), ("b", "a"), ("x", "y", "z")])
def test_classes_bring_their_rows_and_the_rest_comes_whole(
    monkeypatch: pytest.MonkeyPatch, architecture: str, heads: list[str], names: tuple[str, ...]
) -> None:
    """Also where there are as many classes as before, but others or in another order."""
    spec = NetworkSpec(architecture=architecture, encoder="resnet18", arguments=(), n_outputs=3)
    old_names = ("a", "b", "c")
    card = replace(find_model("aerial-landcover")[1], network=spec, legend=legend_of(*old_names))
    torch.manual_seed(1)
    before = build_network(spec, 3)
    monkeypatch.setattr(room, "load_network", lambda *_: before)
    new_spec = replace(spec, n_outputs=len(names))
    start = (Path("model"), card)
    network, left = fresh_network(new_spec, 3, start, legend_of(*names), seed=2)
    anew, _ = fresh_network(new_spec, 3, None, legend_of(*names), seed=2)
    of_heads = [f"{head}.{kind}" for head in heads for kind in ("weight", "bias")]
    known = [name.lower() in old_names for name in names]
    assert left == ([] if all(known) else of_heads)
    old, fresh = before.state_dict(), anew.state_dict()
    for name, tensor in network.state_dict().items():
        if name not in of_heads:
            assert torch.equal(tensor, old[name]), name
            continue
        for k, called in enumerate(names):
            source = old[name][old_names.index(called.lower())] if known[k] else fresh[name][k]
            assert torch.equal(tensor[k], source), (name, called)
