"""Groups without labels, in pixels and in what networks learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sevenfold.recipes._catalogue import Measured
from sevenfold.recipes._paradigms import Bench, paradigm
from sevenfold.recipes.paradigms._measuring import labelled

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_COMPONENTS = 16  # of PCA: 85% of the variance of the pixels


@paradigm(
    measured=(
        Measured("pixels_k_means_accuracy", 0.788, 0.003),
        Measured("pixels_agglomerative_accuracy", 0.864, 0.0, slack=0.001),
        Measured("vae_k_means_accuracy", 0.708, 0.018),
        Measured("contrastive_k_means_accuracy", 0.898, 0.051),
        Measured("contrastive_k_means_rand", 0.812, 0.064),
        Measured("supervised_k_means_accuracy", 0.942, 0.016),
        Measured("supervised_k_means_rand", 0.880, 0.031),
    )
)
def clustering(bench: Bench) -> dict[str, float]:
    """Three algorithms put the digits in ten groups by pixels, principal components and what networks learned.

    All 1,797 digits are grouped without their labels; agreement is that on the 359 test digits, whose labels no
    network saw. Representations: pixels; 16 principal components; the 8 latents of a VAE, the features of a network
    that learned to find views of one digit among those of others (``contrastive``) and of one that learned by how
    much digits were turned, all without labels; and those of the supervised network, which learned from the labels
    of the training digits and is the upper bound. Algorithms: k-means, a mixture of normal
    distributions with diagonal covariances, agglomeration by Ward. Accuracy is that of the best match of groups and
    digits; rand is the adjusted Rand index, information the normalized mutual information.

    Command:  sevenfold paradigms run clustering
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     70 s of CPU time a seed
    Result:   accuracy, and adjusted Rand index, means of seeds 0 to 2 (deviations of the accuracy in brackets):

                                k-means               mixture               Ward
                  pixels        78.8% (0.3)  0.668    72.1% (0.5)  0.587    86.4% (0.0)  0.805
                  components    78.7% (0.2)  0.664    77.5% (5.9)  0.656    83.6% (0.0)  0.735
                  vae           70.8% (1.8)  0.573    54.0% (2.2)  0.328    73.7% (3.8)  0.617
                  turned        57.9% (2.4)  0.417    54.0% (9.2)  0.366    67.4% (14.3) 0.521
                  contrastive   89.8% (5.1)  0.812    89.7% (5.2)  0.814    88.6% (3.3)  0.795
                  supervised    94.2% (1.6)  0.880    94.1% (1.3)  0.876    93.7% (1.1)  0.867

              Contrast alone comes nearest to what labels teach; a VAE's latents group worse than the pixels do
    """
    from sevenfold.training.representing.clustering import CLUSTERINGS, agreement, clustered

    rows, truth = _representations(bench)
    found: dict[str, float] = {}
    for name, everything in rows.items():
        for method in CLUSTERINGS:
            of_test = clustered(everything, method, 10, seed=bench.seed)[-len(truth) :]
            agreed = agreement(of_test, truth)
            found[f"{name}_{method}_accuracy"] = agreed.accuracy
            found[f"{name}_{method}_rand"] = agreed.adjusted_rand
            found[f"{name}_{method}_information"] = agreed.mutual_information
    return found


def _representations(bench: Bench) -> tuple[Mapping[str, npt.NDArray[np.float32]], npt.NDArray[np.int64]]:
    """Rows of all digits by representation, the test digits last; and the test digits' labels."""
    import numpy as np
    from sklearn.decomposition import PCA

    from sevenfold.training.representing.features import features

    networks = {
        "vae": bench.trained(bench.train("vae-digits")).model,
        "contrastive": bench.trained(bench.train("contrastive-digits")).model,
        "turned": bench.trained(bench.train("rotated-digits")).model,
    }
    supervised = bench.trained(bench.train("digits-cnn"))
    networks["supervised"] = supervised.model
    digits = supervised.dataset
    splits = (digits.train, digits.validation, digits.test)
    rows = {"pixels": np.concatenate([labelled(split).rows for split in splits])}
    rows["components"] = PCA(_COMPONENTS, random_state=bench.seed).fit_transform(rows["pixels"])
    for name, model in networks.items():
        rows[name] = np.concatenate([features(model, split) for split in splits])
    return rows, labelled(digits.test).labels
