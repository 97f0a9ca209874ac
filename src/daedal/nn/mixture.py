"""A mixture of Gaussians fitted to vectors after a model is trained: a density of the latents that pictures really have
(Ghosh et al. 2020, arXiv:1903.12436)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from daedal.nn.noise import Noise


class Mixture(nn.Module):
    """The standard normal distribution until it is fitted; all of it is buffers."""

    shares: Tensor
    means: Tensor
    factors: Tensor

    def __init__(self, components: int, size: int) -> None:
        super().__init__()
        self.register_buffer("shares", torch.empty(components))
        self.register_buffer("means", torch.empty(components, size))
        self.register_buffer("factors", torch.empty(components, size, size))

    def initialise(self) -> None:
        self.shares.fill_(1 / len(self.shares))
        self.means.zero_()
        self.factors.copy_(torch.eye(self.means.shape[1]).expand_as(self.factors))

    @torch.no_grad()
    def fit(self, vectors: Float[Tensor, "count size"], seed: int = 0) -> None:
        """By expectation maximisation, begun by k-means; covariances are full."""
        from sklearn.mixture import GaussianMixture

        components = max(1, min(len(self.shares), len(vectors) // (2 * vectors.shape[1])))
        fitted = GaussianMixture(components, reg_covar=1e-3, max_iter=50, tol=1e-2, random_state=seed)
        fitted.fit(vectors.double().cpu().numpy())
        factors = torch.linalg.cholesky(torch.from_numpy(fitted.covariances_))
        self.initialise()
        self.shares.zero_()
        self.shares[:components] = torch.from_numpy(fitted.weights_).to(self.shares)
        self.means[:components] = torch.from_numpy(fitted.means_).to(self.means)
        self.factors[:components] = factors.to(self.factors)

    def log_prob(self, x: Float[Tensor, "batch size"]) -> Float[Tensor, " batch"]:
        """In nats."""
        inverse = torch.linalg.inv(self.factors)
        whitened = torch.einsum("kij,bkj->bki", inverse, x[:, None] - self.means)
        volume = self.factors.diagonal(dim1=1, dim2=2).log().sum(1)
        each = -0.5 * (whitened.square() + math.log(2 * math.pi)).sum(2) - volume + self.shares.log()
        return each.logsumexp(1)

    def draw(self, noise: Noise, stream: str) -> Float[Tensor, "batch size"]:
        """A vector for each example."""
        chosen = torch.searchsorted(self.shares.cumsum(0), noise.uniform(f"{stream} component"), right=True)
        chosen = chosen.clamp_max(int((self.shares > 0).sum()) - 1)
        normal = noise.normal(stream, self.means.shape[1])
        return self.means[chosen] + torch.einsum("bij,bj->bi", self.factors[chosen], normal)
