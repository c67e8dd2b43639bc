"""Digits as points of a plane."""

from __future__ import annotations

from sevenfold.recipes._catalogue import Measured
from sevenfold.recipes._paradigms import Bench, paradigm
from sevenfold.recipes.paradigms._measuring import labelled


@paradigm(
    measured=(
        Measured("tsne_trust", 0.988, 0.0, slack=0.01),
        Measured("tsne_neighbours", 0.983, 0.0),
        Measured("autoencoder_trust", 0.930, 0.011),
        Measured("autoencoder_neighbours", 0.824, 0.018),
        Measured("pca_trust", 0.830, 0.0, slack=0.005),
        Measured("pca_neighbours", 0.660, 0.0, slack=0.01),
    )
)
def dimensionality_reduction(bench: Bench) -> dict[str, float]:
    """Digits in two dimensions by PCA, t-SNE and an autoencoder: what stays near, and what can be read off.

    PCA and the autoencoder (a VAE with 2 latents, whose means are the points) see the training digits and place the
    test digits; t-SNE cannot place what it did not see, and is given training and test digits together, which is an
    advantage. None sees a label. ``trust`` is the trustworthiness of the test digits' places with 5 neighbours (1:
    near there is near in pixels; places at random: about 0.5), ``neighbours`` the accuracy of telling
    test digits by the 5 nearest training digits in the plane.

    Command:  sevenfold paradigms run dimensionality-reduction
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     27 s of CPU time a seed
    Result:   means of seeds 0 to 2; standard deviations in brackets, none where the seed changes nothing:

                                 trust           neighbours
                  t-SNE          0.988           98.3%
                  autoencoder    0.930 (0.011)   82.4% (1.8%)
                  PCA            0.830           66.0%
                  64 pixels                      98.6%

              No pair of numbers that can be computed for a new digit comes near to what t-SNE finds for known ones
    """
    import numpy as np
    from sklearn.decomposition import PCA

    from sevenfold.training.representing.features import features
    from sevenfold.training.representing.maps import mapped, trustworthy
    from sevenfold.training.representing.probing import neighbour_accuracy

    encoder = bench.trained(bench.train("vae-digits", {"model.latent": 2}))
    digits = encoder.dataset
    train, test = labelled(digits.train), labelled(digits.test)
    plane = PCA(2, random_state=bench.seed).fit(train.rows)
    together = mapped(np.concatenate([train.rows, test.rows]), "tsne", seed=bench.seed)
    places = {
        "pca": (plane.transform(train.rows), plane.transform(test.rows)),
        "tsne": (together[: len(train.rows)], together[len(train.rows) :]),
        "autoencoder": (features(encoder.model, digits.train), features(encoder.model, digits.test)),
    }
    found = {
        "pixels_neighbours": neighbour_accuracy(train.rows, train.labels, test.rows, test.labels),
    }
    for name, (of_train, of_test) in places.items():
        found[f"{name}_trust"] = trustworthy(test.rows, of_test)
        found[f"{name}_neighbours"] = neighbour_accuracy(of_train, train.labels, of_test, test.labels)
    return found
