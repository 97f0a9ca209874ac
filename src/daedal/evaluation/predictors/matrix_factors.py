"""Matrix factorisation of who took what, by alternating least squares (iALS; Hu, Koren and Volinsky 2008,
doi:10.1109/ICDM.2008.22), with the regularisation by frequency of Rendle et al. 2022 (arXiv:2110.14037).

    min  sum over taken (1 - u.v)^2  +  alpha sum over all (u.v)^2  +  reg (sum_u f(u) |u|^2 + sum_v f(v) |v|^2)

with `f` how much was taken, and `alpha` times how much there is (`nu` = 1 in that paper). A person who was not learned from
gets a vector from a history by the same least squares (folding in).
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from jaxtyping import Float, Int

from daedal.evaluation.predictors.item_neighbours import incidence

Array = np.ndarray
History = Int[Array, " items"]


class MatrixFactors:
    """A vector for each item.

    Args:
        items: of all.
        alpha: what an item counts that was not taken, beside one that was.
        reg: of the vectors' size.
    """

    def __init__(self, items: Float[Array, "vocab factors"], alpha: float, reg: float) -> None:
        self.items, self.alpha, self.reg = items, alpha, reg

    @classmethod
    def fit(
        cls,
        histories: Sequence[History],
        vocab_size: int,
        factors: int = 64,
        alpha: float = 0.3,
        reg: float = 0.0003,
        rounds: int = 12,
        seed: int = 0,
    ) -> Self:
        taken = incidence(histories, vocab_size)
        generator = np.random.Generator(np.random.Philox(seed))
        items = generator.normal(0.0, 0.1 / np.sqrt(factors), (vocab_size, factors))
        items[np.asarray(taken.sum(0)).ravel() == 0] = 0.0
        of_items = taken.T.tocsr()
        for _ in range(rounds):
            people = _solved(taken, items, alpha, reg)
            items = _solved(of_items, people, alpha, reg)
        return cls(items, alpha, reg)

    def scores(self, histories: Sequence[History]) -> Float[Array, "histories vocab"]:
        people = _solved(incidence(histories, len(self.items)), self.items, self.alpha, self.reg)
        found: Array = people @ self.items.T
        return found


def _solved(
    taken: Any, others: Float[Array, "others factors"], alpha: float, reg: float
) -> Float[Array, "rows factors"]:
    """The best vector of each row, given those of what it took."""
    everything = alpha * others.T @ others
    eye = np.eye(others.shape[1])
    found = np.zeros((taken.shape[0], others.shape[1]))
    for row in range(taken.shape[0]):
        chosen = others[taken.indices[taken.indptr[row] : taken.indptr[row + 1]]]
        if len(chosen):
            decay = reg * (len(chosen) + alpha * len(others))
            found[row] = np.linalg.solve(chosen.T @ chosen + everything + decay * eye, chosen.sum(0))
    return found
