// The inner loops for avx2, compiled with its flags.
#define TENSORLOGIC_SET avx2

#include "core/isa.h"
#include "isa/floats_avx2.h"
#include "isa/codes_avx2.h"
// Loops in terms of the two.
#include "isa/rows.inl"
#include "isa/packed.inl"
#include "isa/packed_any.inl"
#include "isa/attention.inl"
#include "isa/attention_blocks.inl"
#include "isa/dense.inl"
#include "isa/table.inl"
