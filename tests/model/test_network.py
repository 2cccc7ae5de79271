"""The network's weights on disk."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from model.network import Network, load_whole
from model.serving.classes import Classes


def test_weights_from_before_a_part_had_its_present_name_are_read(tmp_path: Path) -> None:
    classes = Classes(("upperwear",), ("shirt", "vest"), {"shirt": "upperwear", "vest": "upperwear"})
    network = Network(classes)
    former = {name.replace("item_map.", "ground."): value for name, value in network.state_dict().items()}
    assert "ground.weight" in former
    save_file(former, tmp_path / "weights.safetensors")
    read = load_whole(classes, tmp_path / "weights.safetensors")
    assert torch.equal(read.item_map.weight, network.item_map.weight)
