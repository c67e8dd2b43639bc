"""DALL-E 2 (unCLIP): a caption's CLIP embedding, from it that of a picture, from that the picture.

B pictures, C channels, S side, T text tokens, V vocabulary, E width of CLIP's space.

    CLIP     pictures and captions as vectors z_i, z_t of one space               (models/transformer/clip.py)
    prior    p(z_i | caption): a diffusion of z_i, whose transformer tells z_i itself                (_prior)
    decoder  p(x | z_i, caption): a diffusion of pixels, whose U-Net tells the noise          (_clip_decoder)

    L_prior   = |f(z_i^(t), t, caption) - z_i|^2, z_i scaled to the variance of pixels            (section 2.2)
    L_decoder = L_simple + 0.001 T L_vlb                                  (improved DDPM, equation 16)

For guidance the prior does without the caption in 10% of training, the decoder without z_i in 10% and without the
caption in 50%. Sampling draws two z_i and goes on with the one nearer to z_t. CLIP is trained first and then stands
still; prior and decoder are trained beside each other. CLIP reads pictures enlarged to its own size.

Ramesh et al. 2022, Hierarchical Text-Conditional Image Generation with CLIP Latents. The prior's text is CLIP's
states, as in the diffusers library (the paper trains a text encoder for it). Not here: the two upsamplers (to 256
and 1024 pixels), the autoregressive prior, analytic variances of the prior, sharpness-aware training of CLIP.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sevenfold.errors import UsageError
from sevenfold.layers import (
    AveragedWeights,
    Generative,
    Interpolates,
    Noise,
    OnStep,
    Played,
    Player,
    Reconstructs,
    Sampling,
    require_images,
    require_tokens,
    untold,
)
from sevenfold.layers.diffusion import Denoiser, Network, Process, betas, mean_square, path, slerp, step_term, walk
from sevenfold.layers.generative import require_sampling
from sevenfold.models._entry import Family, Input, Landmark, fit_generation
from sevenfold.models.generative._clip_decoder import ClipDecoder
from sevenfold.models.generative._dalle2_spec import DALLE2Spec
from sevenfold.models.generative._prior import PriorTransformer
from sevenfold.models.transformer.clip import CLIP, LARGEST_LOG_SCALE

BOUND_WEIGHT = 0.001  # improved DDPM's lambda, section 3.2
WITHOUT_CAPTION = 0.1  # of the prior's examples; of the decoder's:
WITHOUT_PICTURE, WITHOUT_TEXT = 0.1, 0.5
CANDIDATES = 2


class DALLE2(Generative, Played, Reconstructs, Interpolates):
    """pixels [B, C, S, S] in 0..1 and tokens [B, T] -> the sum of the three parts' losses of each pair [B]."""

    condition = "tokens"

    def __init__(self, spec: DALLE2Spec) -> None:
        super().__init__()
        self.spec = spec
        self.process = Process(betas("cosine", spec.steps))
        self.clip = CLIP(spec.clip())
        self.prior = PriorTransformer(spec.prior())
        nn.init.constant_(self.prior.deviation, 1 / spec.embedding_scale)
        self.decoder = ClipDecoder(spec.decoder())
        self.prior_average = AveragedWeights(self.prior, spec.decay)
        self.prior_average.follows = "prior"
        self.decoder_average = AveragedWeights(self.decoder, spec.decay)
        self.decoder_average.follows = "decoder"

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.clip_loss(*inputs) + self.prior_loss(*inputs) + self.decoder_loss(*inputs)

    def players(self) -> tuple[Player, ...]:
        """CLIP; after it the prior and the decoder."""
        stage = self.spec.clip_stage
        of_prior = tuple(
            weight for weight in self.prior.parameters() if weight is not self.prior.mean
            and weight is not self.prior.deviation
        )  # fmt: skip
        return (
            Player("clip", tuple(self.clip.parameters()), lambda *pair: self.clip_loss(*pair).mean(), ends=stage),
            Player("prior", of_prior, lambda *pair: self.prior_loss(*pair).mean(), begins=stage),
            Player(
                "decoder",
                tuple(self.decoder.parameters()),
                lambda *pair: self.decoder_loss(*pair).mean(),
                begins=stage,
            ),
        )

    # The three losses.

    def clip_loss(self, images: Tensor, tokens: Tensor) -> Tensor:
        """Half the cross-entropies of each picture among the captions and of each caption among the pictures."""
        images, tokens = self._checked(images, tokens)
        with torch.no_grad():
            self.clip.log_scale.clamp_(max=LARGEST_LOG_SCALE)
        logits_bb = self.clip(self._enlarged(images), tokens)
        own = torch.arange(len(images), device=images.device)
        both = [F.cross_entropy(logits, own, reduction="none") for logits in (logits_bb, logits_bb.T)]
        return (both[0] + both[1]) / 2

    def prior_loss(self, images: Tensor, tokens: Tensor) -> Tensor:
        """The mean square of the prior's error in the scaled embedding, [B]."""
        images, tokens = self._checked(images, tokens)
        target = self.prior.scaled(self.picture_embedding(images))
        caption, states = self.caption_embedding(tokens)
        told = self._kept(len(images), WITHOUT_CAPTION, images)
        t, noise = self._step_and_noise(target)
        noisy = self.process.noised(target, t, noise)
        found = self.prior(noisy, t, caption * told[:, None], states * told[:, None, None], self._present(tokens))
        return mean_square(found, target)

    def decoder_loss(self, images: Tensor, tokens: Tensor) -> Tensor:
        """The hybrid loss of the decoder, [B]."""
        images, tokens = self._checked(images, tokens)
        data = 2 * images - 1
        picture = self.picture_embedding(images) * self._kept(len(images), WITHOUT_PICTURE, images)[:, None]
        told = self._kept(len(images), WITHOUT_TEXT, images)
        t, noise = self._step_and_noise(data)
        noisy = self.process.noised(data, t, noise)
        denoiser = self._decoding(picture, tokens, told)
        prediction, spoken = denoiser.said(noisy, t)
        # The bound moves the variance alone: improved DDPM, section 3.2.
        found = denoiser.reverse_of(prediction.detach(), spoken, noisy, t, t - 1)
        bound = step_term(self.process, found, data, noisy, t, levels=self.spec.levels)
        return mean_square(prediction, noise) + BOUND_WEIGHT * self.process.steps * bound

    # What CLIP says; nobody but CLIP's own loss moves it.

    @torch.no_grad()
    def picture_embedding(self, images: Tensor) -> Tensor:
        """z_i [B, E] of length 1."""
        return self.clip.encode_image(self._enlarged(images))

    @torch.no_grad()
    def caption_embedding(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """z_t [B, E] of length 1, and the text tower's normed states [B, T, E]."""
        texts = self.clip.texts
        return self.clip.encode_text(tokens), texts.final_norm(texts.hidden(tokens))

    # Sampling.

    @torch.no_grad()
    def sample(
        self,
        num: int,
        *,
        noise: Noise,
        condition: Tensor | None = None,
        sampling: Sampling = Sampling(),
        on_step: OnStep = untold,
    ) -> Tensor:
        """Pictures of captions; ``steps``, ``guidance`` and ``eta`` are the decoder's."""
        require_sampling("DALL-E 2", sampling, "steps", "guidance", "eta")
        if condition is None or len(condition) != num or num != len(noise):
            raise UsageError(
                "DALL-E 2 draws what captions say",
                got="no captions" if condition is None else f"{len(condition)} captions for {num} samples",
                expected="tokens [num, context], and as many seeds",
            )
        tokens = self._checked_tokens(condition)
        picture = self.drawn_embedding(tokens, noise)
        start = noise.normal(self.spec.channels, self.spec.image, self.spec.image)
        return self.decoded(picture, tokens, start, noise, sampling, on_step)

    @torch.no_grad()
    def drawn_embedding(self, tokens: Tensor, noise: Noise) -> Tensor:
        """z_i [B, E] of captions: the nearer to z_t of two that the prior draws."""
        caption, states = self.caption_embedding(tokens)
        pairs = path(self.process.steps, self.spec.prior_walked)
        with self.prior_average.applied():
            denoiser = Denoiser(
                self.process, self._guided_prior(caption, states, self._present(tokens)), predicts="data", clip=None
            )
            drawn = [walk(denoiser, noise.normal(self.spec.embedding), pairs, noise) for _ in range(CANDIDATES)]
        found = torch.stack([self.prior.restored(one) for one in drawn])
        best = (found * caption).sum(dim=2).argmax(dim=0)
        return found[best, torch.arange(len(tokens), device=tokens.device)]

    @torch.no_grad()
    def decoded(
        self,
        picture: Tensor,
        tokens: Tensor | None,
        start: Tensor,
        noise: Noise,
        sampling: Sampling = Sampling(),
        on_step: OnStep = untold,
    ) -> Tensor:
        """Pictures [B, C, S, S] in 0..1 of embeddings [B, E], from noise ``start``; with captions or without."""
        scale = self.spec.guidance if sampling.guidance is None else sampling.guidance
        told = torch.full((len(picture),), float(tokens is not None), device=picture.device)
        if tokens is None:
            tokens = torch.zeros(len(picture), self.spec.context, dtype=torch.int64, device=picture.device)
        pairs = path(self.process.steps, sampling.steps or self.spec.walked)
        with self.decoder_average.applied():
            denoiser = self._decoding(picture, tokens, told, scale)
            found = walk(denoiser, start, pairs, noise, eta=sampling.eta, on_step=on_step)
        return ((found + 1) / 2).clamp(0, 1)

    @torch.no_grad()
    def reconstruct(self, images: Tensor) -> Tensor:
        """A variation of each picture: what its CLIP embedding alone tells the decoder; always the same one."""
        require_images("DALL-E 2", images, self.spec.channels, self.spec.image)
        noise = Noise(range(len(images)), images.device)
        start = noise.normal(self.spec.channels, self.spec.image, self.spec.image)
        return self.decoded(self.picture_embedding(images), None, start, noise, Sampling(eta=0.0))

    @torch.no_grad()
    def interpolate(self, first: Tensor, second: Tensor, num: int, *, noise: Noise) -> Tensor:
        """Decoded embeddings between those of two pictures, on their great circle, from one noise (section 3.2)."""
        ends = self.picture_embedding(torch.stack([first, second]))
        between = slerp(ends[0], ends[1], torch.linspace(0, 1, num, device=ends.device))
        start = noise.normal(self.spec.channels, self.spec.image, self.spec.image)[:1].expand(num, -1, -1, -1)
        return self.decoded(between, None, start, noise, Sampling(eta=0.0))

    # Parts of the above.

    def _decoding(self, picture: Tensor, tokens: Tensor, told: Tensor, scale: float = 1.0) -> Denoiser:
        """The decoder as a denoiser; ``scale`` other than 1 goes beyond what it learned (classifier-free)."""

        def network(noisy: Tensor, t: Tensor) -> Tensor:
            said: Tensor = self.decoder(noisy, t, picture, tokens, told)
            if scale == 1.0:
                return said
            free = self.decoder(noisy, t, torch.zeros_like(picture), tokens, torch.zeros_like(told))
            channels = self.spec.channels
            noise = free[:, :channels] + scale * (said[:, :channels] - free[:, :channels])
            return torch.cat([noise, said[:, channels:]], dim=1)

        return Denoiser(self.process, network, variance="learned-range")

    def _guided_prior(self, caption: Tensor, states: Tensor, present: Tensor) -> Network:
        scale = self.spec.prior_guidance

        def network(noisy: Tensor, t: Tensor) -> Tensor:
            found: Tensor = self.prior(noisy, t, caption, states, present)
            if scale == 1.0:
                return found
            free = self.prior(noisy, t, torch.zeros_like(caption), torch.zeros_like(states), present)
            out: Tensor = free + scale * (found - free)
            return out

        return network

    def _step_and_noise(self, data: Tensor) -> tuple[Tensor, Tensor]:
        t = torch.randint(self.process.steps, (len(data),), device=data.device)
        return t, torch.randn_like(data)

    def _kept(self, count: int, share: float, like: Tensor) -> Tensor:
        """1 for what is told, 0 for the share of training that does without; in evaluation all is told."""
        if not self.training:
            return torch.ones(count, device=like.device, dtype=like.dtype)
        return (torch.rand(count, device=like.device) >= share).to(like.dtype)

    def _present(self, tokens: Tensor) -> Tensor:
        """The tokens up to the end of each text, which is its largest; always the first."""
        ends = tokens.argmax(dim=1)
        return torch.arange(tokens.shape[1], device=tokens.device) <= ends[:, None]

    def _enlarged(self, images: Tensor) -> Tensor:
        side = self.spec.clip_image or self.spec.image
        if images.shape[2] == side:
            return images
        return F.interpolate(images, size=(side, side), mode="bilinear", align_corners=False)

    def _checked(self, images: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        require_images("DALL-E 2", images, self.spec.channels, self.spec.image)
        return images, self._checked_tokens(tokens)

    def _checked_tokens(self, tokens: Tensor) -> Tensor:
        spec = self.spec
        require_tokens("DALL-E 2's text", tokens, spec.vocabulary, context=spec.context)
        if tokens.shape[1] != spec.context:
            raise UsageError(
                "DALL-E 2's text has one length",
                got=f"{tokens.shape[1]} tokens",
                expected=f"{spec.context}, the end filled with 0",
            )
        return tokens


DALLE2_FAMILY = Family(
    landmark=Landmark(
        name="dalle2",
        title="DALL-E 2",
        family="generative",
        year=2022,
        paper="Ramesh et al. 2022, Hierarchical Text-Conditional Image Generation with CLIP Latents",
        constraint="architecture",
        summary="a caption's CLIP embedding becomes a picture's, and that becomes the picture, by two diffusions",
        proof="the prior equals diffusers' PriorTransformer, outputs and gradients on loud weights with mutations, "
        "and folders that it saved are read; its steps equal UnCLIPScheduler; the decoder's attention equals "
        "diffusers' (tests/models/test_dalle2.py)",
    ),
    task="generation",
    spec_type=DALLE2Spec,
    module=DALLE2,
    fit=fit_generation,
    inputs=lambda spec: (
        Input((spec.channels, spec.image, spec.image)),
        Input((spec.context,), vocabulary=spec.vocabulary, context=spec.context),
    ),
    dial="width",
    dial_multiple=lambda spec: math.lcm(spec.groups, spec.head_width),
)


@DALLE2_FAMILY.preset("paper", parameters=5_774_705_671)
def dalle2() -> DALLE2Spec:
    """The paper's CLIP (ViT-H/16), prior and 64 x 64 decoder (table 3: "1B" and "3.5B"), without upsamplers."""
    return DALLE2Spec(
        clip_image=256, patch=16, vision_width=1280, vision_layers=32, vision_heads=16, embedding=1024,
        text_layers=24, text_heads=16, prior_layers=24, prior_heads=32, width=512, multiples=(1, 2, 3, 4), blocks=3,
        reader_width=2048, reader_layers=24, reader_heads=32, dropout=0.1,
    )  # fmt: skip


@DALLE2_FAMILY.preset("laptop")
def dalle2_small() -> DALLE2Spec:
    """Pictures of 16 x 16: a CLIP of width 64, a prior of two blocks, a decoder of 16 and 32 channels."""
    return DALLE2Spec(
        image=16, vocabulary=17, context=11, patch=4, vision_width=64, vision_layers=2, vision_heads=4,
        embedding=64, text_layers=1, text_heads=4, embedding_scale=4.3, prior_layers=2, prior_heads=4,
        prior_head_width=16, prior_walked=10, width=16, multiples=(1, 2), blocks=1, attention=(8,), head_width=16,
        reader_width=64, reader_layers=0, reader_heads=4, groups=8, steps=200, walked=10, guidance=1.0, decay=0.98,
        clip_stage=0.5,
    )  # fmt: skip
