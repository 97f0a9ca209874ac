"""CIFAR-10 at 32 pixels: our VAE, GAN and flow beside pythae's VAE, a DCGAN and diffusers' DDPM, for the same CPU seconds.

    python benchmarks/cifar10.py PATH/TO/cifar10-jpg.tar.xz --extractor mobilenet@PATH/TO/mobilenet_v2-imagenet-int8
        [--seconds 900] [--only gan,dcgan] [--threads 1] [--quick]

Frechet and kernel distance between 2,000 drawn and the 10,000 test pictures, in the 1,280 features of MobileNetV2;
the kernel distance is told in thousandths. These are no Inception numbers, and with fewer than some ten thousand samples a
Frechet distance is too large by an amount that is the same for all here: compare the numbers with each other only. The data is
a copy of CIFAR-10 as JPEG of quality 75, with which published numbers cannot be compared either.

The folder given by `--out` keeps all; what it has already is not run again. The rules of time are in `picture_race.py`.
"""

from picture_race import STOCHASTIC, Ours, Race, Ruler, Setting, Theirs


def build(setting: Setting) -> None:
    import daedal

    daedal.build_data(setting.sources, setting.data)


ENTRANTS = {
    "vae": Ours("vae", "vae"),
    "gan": Ours("gan", "gan"),
    "flow": Ours("flow", "flow", draws={"": {}, "churn": STOCHASTIC}),
    "pythae": Theirs("pythae", {"network": "mlp", "loss": "bce", "rate": 1e-3, "latent": 64}),
    "pythae-conv": Theirs("pythae", {"network": "conv", "loss": "mse", "rate": 1e-4}),
    "dcgan": Theirs("dcgan", {"width": 32}),
    "dcgan-64": Theirs("dcgan", {"width": 64}),
    "ddpm": Theirs("ddpm", {"network": "tiny", "rate": 1e-3, "batch": 16}, most=1000),
    "ddpm-small": Theirs("ddpm", {"network": "small", "rate": 1e-3, "batch": 16}, most=1000),
    "ddpm-large": Theirs("ddpm", {"network": "large", "rate": 4e-4, "batch": 16}, most=1000),
}

if __name__ == "__main__":
    Race(
        __doc__,
        __file__,
        folder="cifar10",
        seconds=900,
        samples=2000,
        entrants=ENTRANTS,
        usual=["vae", "gan", "flow", "pythae", "dcgan", "ddpm"],
        build=build,
        ruler=Ruler(kernel=True),
        columns={
            "kernel": "kernel, thousandths",
            "kernel_interval": "95 %",
            "distance": "Frechet",
            "distance_interval": "95 %",
        },
    ).main()
