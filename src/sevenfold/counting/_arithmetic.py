"""What kind each operator is, and how much arithmetic it does besides multiply-accumulates.

A table, not a judgement. One addition, multiplication, comparison or elementary function (exp, tanh, erf, sqrt) is
one vector operation; a row's number is per element of the operator's larger side (input or output). In-place forms
(``add_``) are looked up without the underscore. An operator without a row is elementwise with one operation an
element where torch itself tags it as pointwise, and unknown otherwise.
"""

from __future__ import annotations

from typing import Final, cast

from sevenfold.ops.graph import Kind

# kind, vector operations an element, names of aten operators
_TABLE = """
copy 0: clone copy _to_copy cat stack repeat zeros zeros_like ones ones_like full full_like new_zeros new_ones
    new_full fill zero scalar_tensor arange linspace logspace eye tril triu tril_indices triu_indices roll flip
    constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d
    replication_pad3d index_select gather index _unsafe_index take masked_select select_backward slice_backward
    diagonal_backward select_scatter slice_scatter diagonal_scatter as_strided_scatter scatter index_copy index_fill
    masked_scatter repeat_interleave im2col unfold_backward pixel_shuffle pixel_unshuffle channel_shuffle diag_embed
    lift_fresh_copy view_copy expand_copy permute_copy as_strided_copy slice_copy split_with_sizes_copy unbind_copy
    transpose_copy t_copy squeeze_copy unsqueeze_copy detach_copy alias_copy select_copy complex nonzero
    nonzero_static block_diag _pack_padded_sequence _reshape_copy _pin_memory unsafe_split unsafe_split_with_sizes
    _unsafe_masked_index _foreach_copy
copy 1: index_put _unsafe_index_put _index_put_impl index_add scatter_add scatter_reduce index_reduce col2im
    _unsafe_masked_index_put_accumulate reflection_pad1d_backward reflection_pad2d_backward
    reflection_pad3d_backward replication_pad1d_backward replication_pad2d_backward replication_pad3d_backward
embedding 0: embedding
embedding 1: embedding_dense_backward _embedding_bag _embedding_bag_forward_only _embedding_bag_backward
    _embedding_bag_dense_backward embedding_renorm
embedding 2: _embedding_bag_per_sample_weights_backward

# mean 1, variance 3, normalize 2, scale and shift 2; with given statistics 4; backward about twice as much
normalization 4: _native_batch_norm_legit_no_training _batch_norm_no_update
normalization 5: _fused_rms_norm _weight_norm_interface
normalization 8: native_layer_norm native_group_norm native_batch_norm cudnn_batch_norm miopen_batch_norm renorm
    _native_batch_norm_legit _native_batch_norm_legit_functional _batch_norm_with_update
    _batch_norm_with_update_functional
normalization 11: _fused_rms_norm_backward _weight_norm_interface_backward
normalization 14: native_layer_norm_backward native_group_norm_backward native_batch_norm_backward
    batch_norm_backward cudnn_batch_norm_backward miopen_batch_norm_backward

# maximum, subtract, exp, sum, divide (or subtract)
softmax 5: _softmax _safe_softmax _log_softmax _masked_softmax logsumexp
softmax 4: _softmax_backward_data _log_softmax_backward_data _masked_softmax_backward

loss 1: nll_loss_forward nll_loss2d_forward nll_loss_backward nll_loss2d_backward
loss 3: mse_loss mse_loss_backward smooth_l1_loss smooth_l1_loss_backward
loss 5: huber_loss huber_loss_backward binary_cross_entropy binary_cross_entropy_backward
loss 8: binary_cross_entropy_with_logits soft_margin_loss soft_margin_loss_backward multi_margin_loss
    multi_margin_loss_backward multilabel_margin_loss_forward multilabel_margin_loss_backward _ctc_loss
    _ctc_loss_backward

random 1: bernoulli normal uniform rand rand_like randn randn_like randint randint_like randperm random exponential
    cauchy geometric log_normal poisson multinomial _standard_gamma
random 2: native_dropout _fused_dropout

reduction 1: sum mean amax amin max min argmax argmin prod all any nansum count_nonzero trace cumsum cumprod
    cummax cummin aminmax median nanmedian mode bincount histc _cummax_helper _cummin_helper
reduction 2: linalg_vector_norm norm dist _foreach_norm
reduction 3: logcumsumexp _cdist_forward _pdist_forward _euclidean_dist
reduction 4: var std var_mean std_mean _cdist_backward _pdist_backward
reduction 0: sort topk kthvalue searchsorted bucketize unique_consecutive _unique2
reduction 5: isin

pooling 0: avg_pool2d avg_pool3d max_pool2d_with_indices max_pool3d_with_indices upsample_nearest1d
    upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d
    _upsample_nearest_exact3d
pooling 1: avg_pool2d_backward avg_pool3d_backward max_pool2d_with_indices_backward
    max_pool3d_with_indices_backward _adaptive_avg_pool2d _adaptive_avg_pool3d _adaptive_avg_pool2d_backward
    _adaptive_avg_pool3d_backward adaptive_max_pool2d adaptive_max_pool3d adaptive_max_pool2d_backward
    adaptive_max_pool3d_backward max_unpool2d max_unpool3d fractional_max_pool2d fractional_max_pool3d
    fractional_max_pool2d_backward fractional_max_pool3d_backward upsample_nearest1d_backward
    upsample_nearest2d_backward upsample_nearest3d_backward _upsample_nearest_exact1d_backward
    _upsample_nearest_exact2d_backward _upsample_nearest_exact3d_backward
# interpolation between 2, 4, 8 and 16 neighbours: a multiplication each and an addition between them
pooling 3: upsample_linear1d upsample_linear1d_backward
pooling 7: upsample_bilinear2d upsample_bilinear2d_backward _upsample_bilinear2d_aa _upsample_bilinear2d_aa_backward
    grid_sampler_2d grid_sampler_2d_backward
pooling 15: upsample_trilinear3d upsample_trilinear3d_backward grid_sampler_3d grid_sampler_3d_backward
pooling 31: upsample_bicubic2d upsample_bicubic2d_backward _upsample_bicubic2d_aa _upsample_bicubic2d_aa_backward

# more than one operation an element, or not tagged as pointwise by torch
elementwise 1: add sub mul div rsub neg abs eq ne lt le gt ge maximum minimum where clamp relu threshold_backward
    hardtanh hardtanh_backward masked_fill polar floor_divide addr linalg_cross __and__ __or__ __iand__ __ior__
    _add_relu _masked_scale special_ndtr copysign masked_scatter_backward softshrink_backward
    hardshrink_backward
elementwise 2: addcmul addcdiv lerp prelu _prelu_kernel leaky_relu leaky_relu_backward tanh_backward
    sigmoid_backward fmod remainder
elementwise 3: _prelu_kernel_backward elu elu_backward hardsigmoid hardsigmoid_backward hardswish hardswish_backward
    rrelu_with_noise rrelu_with_noise_backward softplus_backward celu
elementwise 4: sigmoid softplus log_sigmoid_forward log_sigmoid_backward
elementwise 5: silu glu gelu fake_quantize_per_tensor_affine_cachemask fake_quantize_per_channel_affine_cachemask
elementwise 7: mish silu_backward glu_backward
elementwise 10: gelu_backward mish_backward affine_grid_generator
"""

# Neither work nor traffic. (Views are recognized by their storage.)
_NOT_WORK = """
empty empty_like empty_strided empty_permuted new_empty new_empty_strided detach alias lift lift_fresh
_local_scalar_dense item is_same_size resize resize_as set _linalg_check_errors _assert_async
_functional_assert_async _assert_scalar _assert_tensor_metadata _print sym_constrain_range
sym_constrain_range_for_size is_pinned record_stream _record_function_enter_new _record_function_exit sym_size
sym_stride sym_numel sym_storage_offset device is_contiguous is_strides_like_format is_non_overlapping_and_dense
size stride storage_offset dim numel
"""

_OVERWRITES = "copy_ fill_ zero_ bernoulli_ normal_ uniform_ exponential_ cauchy_ geometric_ log_normal_ random_"
_PICKS = """
embedding gather index _unsafe_index index_select take masked_select _embedding_bag _embedding_bag_forward_only
_unsafe_masked_index
"""
_PLACES = """
index_put_ _index_put_impl_ _unsafe_index_put_ scatter_ index_copy_ index_fill_ scatter_add_ index_add_
scatter_reduce_ index_reduce_
"""


def _read(table: str) -> dict[str, tuple[Kind, int]]:
    rows: dict[str, tuple[Kind, int]] = {}
    kind, per_element = "unknown", 0
    for line in table.splitlines():
        if not line or line.startswith("#"):
            continue
        if not line.startswith(" "):
            head, _, line = line.partition(":")
            kind, per_element = head.split()[0], int(head.split()[1])
        for name in line.split():
            assert name not in rows, f"{name} has two rows"
            rows[name] = (cast(Kind, kind), per_element)
    return rows


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


KINDS: Final = _read(_TABLE)
NOT_WORK: Final = _names(_NOT_WORK)
OVERWRITES: Final = _names(_OVERWRITES)  # the first argument is written and not read
PICKS: Final = _names(_PICKS)  # read no more of the first argument than they pick
PLACES: Final = _names(_PLACES)  # change only some places of the first argument
ACCUMULATES: Final = _names("scatter_add_ index_add_ scatter_reduce_ index_reduce_")  # and read those places

GELU_TANH: Final = 9  # cube 2, scale, add, scale, tanh, add, halve, multiply
GELU_TANH_BACKWARD: Final = 16
