// The inner loops for portable, compiled with its flags.
#define TENSORLOGIC_SET portable

#include "core/isa.h"
#include "isa/floats_portable.h"
#include "isa/codes_portable.h"
// Loops in terms of the two.
#include "isa/rows.inl"
#include "isa/packed.inl"
#include "isa/packed_any.inl"
#include "isa/attention.inl"
#include "isa/attention_blocks.inl"
#include "isa/dense.inl"
#include "isa/table.inl"
