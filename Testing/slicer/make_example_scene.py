"""Makes the scene behind "Show example result": the shipped model on the bundled scan, stored by the module's own code.

    python Testing/slicer/make_example_scene.py

Needs the library with torch and slicer-core. Run it again when the shipped weights or the scene's content change.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import host

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "MultiRaterSeg")]

from MultiRaterSegSlicer import examples  # noqa: E402
from MultiRaterSegSlicer.nodes import volume_from_node  # noqa: E402
from MultiRaterSegSlicer.parameters import Parameters  # noqa: E402
from MultiRaterSegSlicer.scene.lesions import Lesions, Model  # noqa: E402

from MultiRaterSegLib import VolumePredictor  # noqa: E402
from MultiRaterSegLib.worker.model_info import ModelInfo  # noqa: E402

OUT = PROJECT / "Resources" / "SampleData" / examples.SCENE
WINDOW, LEVEL = 1500, -500  # HU, as lungs are usually shown
PROMPT = "tight margins, solid core only"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="prosona_compact", help="name of a shipped model")
    parser.add_argument("--samples", type=int, default=20, help="simulated readers")
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        surroundings = host.Host(Path(folder)).publish()
        fill(asked.model, asked.samples)
        if not surroundings.scene.WriteToMRB(str(asked.out)):
            sys.exit(f"Slicer could not write {asked.out}.")
    sys.stdout.write(f"{asked.out}: {asked.out.stat().st_size / 1e6:.2f} MB\n")


def fill(name: str, samples: int) -> None:
    """The scan, one lesion, its consensus, every reader style and one sentence."""
    volume = examples.load_sample_data()
    volume.GetDisplayNode().AutoWindowLevelOff()
    volume.GetDisplayNode().SetWindowLevel(WINDOW, LEVEL)
    point = volume.GetScene().GetFirstNodeByName(examples.LESION)
    predictor = VolumePredictor.from_checkpoint(name)
    scan = volume_from_node(volume)
    answers = predictor.lesion(scan, at=examples.points_from_node(point)[0])
    method = type(predictor.method)
    model = Model.of(ModelInfo.of(name, predictor.checkpoint.info, method.title, method.follows_prompts))
    lesion = Lesions().add(volume, point)
    lesion.add("consensus", answers.consensus(samples), model)
    for style in [*predictor.experts, PROMPT]:
        lesion.add(style, answers.style(style, samples), model)
    remember(volume, point, name, samples, lesion.label)


def remember(volume, point, name: str, samples: int, label: str) -> None:
    """The panel's settings as they were after this."""
    parameters = Parameters()
    parameters.volume, parameters.place = volume, point
    parameters.model, parameters.samples, parameters.lesion = name, samples, label
    parameters.remember_prompt(PROMPT)


if __name__ == "__main__":
    main()
