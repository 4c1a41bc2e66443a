// The table of one instruction set, of the functions that the files before this one define.

#define TENSORLOGIC_TEXT(x) #x
#define TENSORLOGIC_NAME(x) TENSORLOGIC_TEXT(x)

namespace tensorlogic::isa_tables {

const Kernels TENSORLOGIC_SET = {
    .name = TENSORLOGIC_NAME(TENSORLOGIC_SET),
    .widen = tensorlogic::TENSORLOGIC_SET::widen,
    .narrow = tensorlogic::TENSORLOGIC_SET::narrow,
    .prepare = tensorlogic::TENSORLOGIC_SET::prepare_packed,
    .multiply = tensorlogic::TENSORLOGIC_SET::multiply_packed,
    .expand = tensorlogic::TENSORLOGIC_SET::expand_any,
    .sum = tensorlogic::TENSORLOGIC_SET::sum,
    .dense_dots = tensorlogic::TENSORLOGIC_SET::dense_dots,
    .dense_combine = tensorlogic::TENSORLOGIC_SET::dense_combine,
    .gather = tensorlogic::TENSORLOGIC_SET::gather,
#ifdef TENSORLOGIC_TILES
    .tile = tensorlogic::TENSORLOGIC_SET::kTile,
    .quantize_rows = tensorlogic::TENSORLOGIC_SET::quantize_rows,
    .tile_factors = tensorlogic::TENSORLOGIC_SET::tile_factors,
    .fill_codes = tensorlogic::TENSORLOGIC_SET::fill_codes,
    .multiply_tile = tensorlogic::TENSORLOGIC_SET::multiply_tile,
#else
    .tile = 0,
    .quantize_rows = nullptr,
    .tile_factors = nullptr,
    .fill_codes = nullptr,
    .multiply_tile = nullptr,
#endif
    .sum_of_squares = tensorlogic::TENSORLOGIC_SET::sum_of_squares,
    .scale = tensorlogic::TENSORLOGIC_SET::scale,
    .add = tensorlogic::TENSORLOGIC_SET::add,
    .silu_times = tensorlogic::TENSORLOGIC_SET::silu_times,
    .gelu_tanh_times = tensorlogic::TENSORLOGIC_SET::gelu_tanh_times,
    .silu = tensorlogic::TENSORLOGIC_SET::silu_each,
    .gelu = tensorlogic::TENSORLOGIC_SET::gelu_each,
    .gelu_tanh = tensorlogic::TENSORLOGIC_SET::gelu_tanh_each,
    .layer_norm = tensorlogic::TENSORLOGIC_SET::layer_norm,
    .largest = tensorlogic::TENSORLOGIC_SET::largest,
    .exponentials = tensorlogic::TENSORLOGIC_SET::exponentials,
    .cosines_and_sines = tensorlogic::TENSORLOGIC_SET::cosines_and_sines,
    .rotate_halves = tensorlogic::TENSORLOGIC_SET::rotate_halves,
    .rotate_pairs = tensorlogic::TENSORLOGIC_SET::rotate_pairs,
    .dots = tensorlogic::TENSORLOGIC_SET::dots,
    .softmax_weights = tensorlogic::TENSORLOGIC_SET::softmax_weights,
    .add_weighted = tensorlogic::TENSORLOGIC_SET::add_weighted,
    .query_lanes = tensorlogic::TENSORLOGIC_SET::kLanes,
    .attend_block = tensorlogic::TENSORLOGIC_SET::attend_block,
};

}  // namespace tensorlogic::isa_tables
