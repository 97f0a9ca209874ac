"""Emoji: a flow and a GAN at 32 or 64 pixels that are asked for a drawing style, and whether they copy.

    python benchmarks/emoji.py PATH/TO/noto-emoji-72x72.zip PATH/TO/openmoji-72x72-color.zip [--size 64] [--seconds 900]
        [--extractor mobilenet@PATH/TO/mobilenet_v2-imagenet-int8] [--only flow] [--quick]

- a style is a class: the column `style` of the captions in each archive; drawn pictures have all styles
- kernel distance (in thousandths) and Frechet distance between 2,000 drawn pictures, styles in turn, and the training pictures
- authentic: the share of drawn pictures no closer to a training picture than its own nearest neighbour is; near a
  half for new pictures, and near 0 for copies
- farther: how often a drawn picture is farther from the training pictures than a test picture is; a half where neither is
  nearer, and p says whether chance explains what is less (under 0.01: copying)

The folder given by `--out` keeps all; what it has already is not run again. The rules of time are in `picture_race.py`.
"""

from picture_race import STOCHASTIC, Ours, Race, Ruler, Setting


def build(setting: Setting) -> None:
    import daedal

    daedal.build_data(setting.sources, setting.data, size=setting.size, labels="captions.csv", label_column="style")


ENTRANTS = {
    "flow": Ours("flow", "flow", {"condition": "class"}, {"": {}, "churn": STOCHASTIC}),
    "gan": Ours("gan", "gan", {"condition": "class"}),
    "vae": Ours("vae", "vae", {"condition": "class"}),
}

if __name__ == "__main__":
    Race(
        __doc__,
        __file__,
        folder="emoji",
        seconds=900,
        samples=2000,
        entrants=ENTRANTS,
        usual=["flow", "gan"],
        build=build,
        ruler=Ruler(reference="train", kernel=True, memory=True),
        columns={
            "kernel": "kernel, thousandths",
            "kernel_interval": "95 %",
            "distance": "Frechet",
            "authentic": "authentic",
            "farther": "farther",
            "copies_p": "p",
        },
        extractor="random",
        sizes=(32, 64),
    ).main()
