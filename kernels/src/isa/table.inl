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
    .sum_of_squares = tensorlogic::TENSORLOGIC_SET::sum_of_squares,
    .scale = tensorlogic::TENSORLOGIC_SET::scale,
    .add = tensorlogic::TENSORLOGIC_SET::add,
    .silu_times = tensorlogic::TENSORLOGIC_SET::silu_times,
    .gelu_tanh_times = tensorlogic::TENSORLOGIC_SET::gelu_tanh_times,
};

}  // namespace tensorlogic::isa_tables
