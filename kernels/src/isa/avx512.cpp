// The inner loops for avx512, compiled with its flags.
#define TENSORLOGIC_SET avx512

#include "core/isa.h"
#include "isa/floats_avx512.h"
#include "isa/codes_avx512.h"
// Loops in terms of the two.
#include "isa/rows.inl"
#include "isa/packed.inl"
#include "isa/packed_any.inl"
#include "isa/attention.inl"
#include "isa/attention_blocks.inl"
#include "isa/dense.inl"
#include "isa/table.inl"
