// What Python sees, a function for each subject; module.cpp calls them all.
#pragma once

#include <nanobind/nanobind.h>

namespace tensorlogic {

void bind_machine(nanobind::module_& m);
void bind_packed(nanobind::module_& m);
void bind_rows(nanobind::module_& m);
void bind_attention(nanobind::module_& m);
void bind_dense(nanobind::module_& m);
void bind_blocks(nanobind::module_& m);
void bind_strings(nanobind::module_& m);
void bind_bpe(nanobind::module_& m);

}  // namespace tensorlogic
