// The inner loops for neon, compiled with its flags.
#define TENSORLOGIC_SET neon

#include "core/isa.h"
#include "isa/floats_neon.h"
#include "isa/codes_neon.h"
// Loops in terms of the two.
#include "isa/rows.inl"
#include "isa/packed.inl"
#include "isa/packed_any.inl"
#include "isa/attention.inl"
#include "isa/attention_blocks.inl"
#include "isa/dense.inl"
#include "isa/table.inl"
